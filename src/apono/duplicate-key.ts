import { endOfString } from './exact-json.ts';

/** An object or a list around the place of the scan. */
interface Container {
  /** Names so far; null for a list. */
  readonly names: Set<string> | null;
  /** The name of the member, or the index of the element, that the scan is at. */
  at: string | number;
}

/**
 * The JSON Pointer of the first member whose name its object already has, however either is escaped; null if there is
 * none. `JSON.parse` would silently keep the last one. `text` must be JSON. Takes linear time and does not recurse.
 */
export function duplicateKey(text: string): string | null {
  const inside: Container[] = [];
  let current: Container | undefined;
  let expectsName = false;
  let at = 0;
  while (at < text.length) {
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at);
        if (expectsName && current !== undefined) {
          const name = nameOf(text.slice(at, end));
          current.at = name;
          if (current.names?.has(name)) return pointer(inside);
          current.names?.add(name);
          expectsName = false;
        }
        at = end;
        continue;
      }
      case '{':
      case '[':
        expectsName = text[at] === '{';
        current = { names: expectsName ? new Set() : null, at: 0 };
        inside.push(current);
        break;
      case '}':
      case ']':
        inside.pop();
        current = inside.at(-1);
        expectsName = false;
        break;
      case ',':
        expectsName = current?.names != null;
        if (typeof current?.at === 'number') current.at++;
        break;
    }
    at++;
  }
  return null;
}

function nameOf(quoted: string): string {
  return quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
}

/** Ends at the first name that may not be the template's, because answers never quote what somebody typed. */
function pointer(inside: readonly Container[]): string {
  const names = inside.map(({ at }) => String(at));
  const isTyped = names.findIndex((name) => !/^\w{1,64}$/.test(name));
  return ['', ...(isTyped === -1 ? names : names.slice(0, isTyped))].join('/');
}
