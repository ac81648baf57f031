import { isJsonObject, type JsonValue } from '../ground/json.ts';
import { decodeText } from './charset.ts';
import { duplicateKey } from './duplicate-key.ts';
import { decodeEntitiesDeep, looksEscaped } from './entities.ts';
import { isRecipeRow } from './event.ts';
import { exactFrom, hasMoreValuesThan, isNestedDeeperThan } from './exact-json.ts';
import { explainFault } from './json-fault.ts';
import { escapeInvalid, type Reading, readingOf, readLiterally } from './template-text.ts';

/** APONO_TEMPLATE_ESCAPING: how Apono's template engine escapes what it fills in. */
export type TemplateEscaping = 'auto' | 'html' | 'json' | 'html-json' | 'none';

/** Deeper bodies are refused, so that every walk over a value may recurse. No event of Apono's comes near it. */
export const MAX_DEPTH = 64;
/** Bodies with more are refused before they are parsed: in memory, empty lists take a hundred times their text. */
export const MAX_VALUES = 300_000;

type ReadBody =
  | {
      readonly outcome: 'read';
      /** Has every number as it was written. */
      readonly value: JsonValue;
      /** The same as `JSON.parse` makes it, for the schemas. */
      readonly plain: unknown;
      readonly form: 'json' | 'template';
      /** Straight JSON that contains entities, which were left alone: perhaps a template made it after all. */
      readonly looksEscaped: boolean;
    }
  | { readonly outcome: 'not_json'; readonly detail: string }
  | { readonly outcome: 'too_many_values' }
  | { readonly outcome: 'too_deep' }
  /** A template-made object has two members of the same name. `path`: JSON Pointer of the second. */
  | { readonly outcome: 'duplicate_key'; readonly path: string };

/**
 * Reads a webhook's body. Straight JSON comes out as `JSON.parse` makes it and is never altered, unless `escaping` was
 * set by hand. A template made a body whose event_time is a string, which is a recipe row, or which is not JSON until
 * its strings are read literally, because no serializer writes such bodies. `escaping` says how to undo what the
 * template engine did (ADR 3). `charset` is that of the Content-Type header. Takes time linear in the size.
 */
export function readBody(bytes: Uint8Array, escaping: TemplateEscaping, charset: string | null = null): ReadBody {
  const decoded = decodeText(bytes, charset);
  if ('fault' in decoded) return { outcome: 'not_json', detail: decoded.fault };
  const { text } = decoded;
  const strict = parse(text);
  switch (strict.outcome) {
    case 'too_many_values':
      return strict;
    case 'not_json':
      return readAs(escaping === 'auto' ? AS_TYPED : readingBySetting[escaping], { text, strict, form: 'template' });
    case 'parsed': {
      const form = isTemplateMade(strict.plain) ? 'template' : 'json';
      if (escaping !== 'auto') return readAs(readingBySetting[escaping], { text, strict, form });
      if (form === 'json') return finish(strict, { form, decode: false, looksEscaped: looksEscaped(text) });
      return readAs(readingOf(text), { text, strict, form });
    }
  }
}

/** For text that is not JSON: the template engine left raw what JSON does not allow, so it did not escape for JSON. */
const AS_TYPED: Reading = { backslashes: 'literal', decode: true };

const readingBySetting: Readonly<Record<Exclude<TemplateEscaping, 'auto'>, Reading>> = {
  html: AS_TYPED,
  json: { backslashes: 'json', decode: false },
  'html-json': { backslashes: 'json', decode: true },
  none: { backslashes: 'literal', decode: false },
};

type Parsed =
  | { readonly outcome: 'parsed'; readonly plain: unknown; readonly text: string }
  | { readonly outcome: 'not_json' }
  | { readonly outcome: 'too_many_values' };

interface Given {
  readonly text: string;
  /** The text as it stands. */
  readonly strict: Parsed;
  readonly form: 'json' | 'template';
}

/** The template's own text may contain JSON escapes; then only those that JSON does not know are literal. */
function readAs({ backslashes, decode }: Reading, { text, strict, form }: Given): ReadBody {
  let parsed = backslashes === 'json' ? strict : parse(readLiterally(text));
  if (parsed.outcome === 'not_json' && backslashes === 'literal') {
    parsed = strict.outcome === 'parsed' ? strict : parse(escapeInvalid(text));
  }
  switch (parsed.outcome) {
    case 'parsed':
      return finish(parsed, { form, decode, looksEscaped: false });
    case 'not_json':
      return { outcome: 'not_json', detail: explainFault(text) };
    case 'too_many_values':
      return parsed;
  }
}

const QUOTED_TIME = /"event_time"\s*:\s*"/;

interface Finishing {
  readonly form: 'json' | 'template';
  readonly decode: boolean;
  readonly looksEscaped: boolean;
}

function finish({ plain, text }: Parsed & { outcome: 'parsed' }, { form, decode, looksEscaped }: Finishing): ReadBody {
  // This comes before anything that recurses into the value.
  if (isNestedDeeperThan(text, MAX_DEPTH)) return { outcome: 'too_deep' };
  // Without escaping, text that somebody typed could end its string and repeat members of the template, and a number in
  // place of the template's event_time would make the body look like straight JSON.
  const duplicate = form === 'template' || QUOTED_TIME.test(text) ? duplicateKey(text) : null;
  if (duplicate !== null) return { outcome: 'duplicate_key', path: duplicate };
  const exact = exactFrom(plain, text);
  if (!decode) return { outcome: 'read', value: exact, plain, form, looksEscaped };
  const value = decodeEntitiesDeep(exact);
  const decodedPlain = exact === plain ? value : decodeEntitiesDeep(plain as JsonValue);
  return { outcome: 'read', value, plain: decodedPlain, form, looksEscaped };
}

function parse(text: string): Parsed {
  if (hasMoreValuesThan(text, MAX_VALUES)) return { outcome: 'too_many_values' };
  try {
    return { outcome: 'parsed', plain: JSON.parse(text), text };
  } catch {
    return { outcome: 'not_json' };
  }
}

function isTemplateMade(plain: unknown): boolean {
  const events = Array.isArray(plain) ? plain : [plain];
  return events.some((event) => isJsonObject(event) && (typeof event['event_time'] === 'string' || isRecipeRow(event)));
}
