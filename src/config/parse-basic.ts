import { bad, good, type Parse } from './parsed.ts';
import { holdsReference, notMeantAsSecret } from './secret-text.ts';

/** Digits only: `1e3`, `0x10`, `+5`, ` 5` and `08` are typing errors more often than numbers. Both bounds are included. */
export function integer(min: number, max: number): Parse<number> {
  return (text) => {
    const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? good(value) : bad(`is not a whole number from ${min} to ${max}`);
  };
}

/** One of some words, in any case. */
export function choice<const T extends string>(allowed: readonly T[]): Parse<T> {
  return (text) => {
    const found = allowed.find((word) => word === text.toLowerCase());
    return found === undefined ? bad(`is none of ${allowed.join(', ')}`) : good(found);
  };
}

const minSecretCharacters = 16;

/**
 * A secret that somebody sends us in a header. Control characters are not allowed there, and spaces at the ends are cut
 * on the way (RFC 9110, 5.5), so that such a secret could never match. A character outside ASCII arrives as other bytes
 * from one client than from another, and most of those that are found in a secret were pasted by mistake.
 */
export const headerSecret: Parse<string> = (text) => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]|^ | $/.test(text)) {
    return bad(
      'holds a line break, another control character or a space at its end, which cannot be sent in a header; ' +
        'use letters, digits and signs, for instance from `openssl rand -hex 32`',
    );
  }
  const notMeant = notMeantAsSecret(text);
  if (notMeant !== null) return bad(notMeant);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is what is allowed
  if (/[^\u0000-\u007f]/.test(text)) {
    return bad(
      'holds a character outside ASCII; use letters, digits and signs, for instance from `openssl rand -hex 32`',
    );
  }
  if (text.length < minSecretCharacters) {
    return bad(
      `is ${text.length} characters long, expected at least ${minSecretCharacters}; make one with \`openssl rand -hex 32\``,
    );
  }
  return good(text);
};

/** `2027-01-31`, which means its beginning in UTC, or an ISO time; UTC where it names no zone. Milliseconds since the epoch. */
export const date: Parse<number> = (text) => {
  const [, day, time = 'T00:00:00', zone = 'Z'] =
    /^(\d{4}-\d{2}-\d{2})([Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?([Zz]|[+-]\d{2}:\d{2})?$/.exec(text) ?? [];
  const timeMs =
    day === undefined ? Number.NaN : Date.parse(`${day}${time.replace(' ', 'T').toUpperCase()}${zone.toUpperCase()}`);
  // Date.parse takes the 31st of February for the 3rd of March.
  const startMs = Date.parse(`${day}T00:00:00Z`);
  const isDay = day !== undefined && !Number.isNaN(startMs) && new Date(startMs).toISOString().startsWith(day);
  return isDay && !Number.isNaN(timeMs) ? good(timeMs) : bad('is no date, expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ');
};

/** A secret of somebody else's making, taken as it is unless nobody can have meant it as one. */
export const opaqueSecret: Parse<string> = (text) => {
  const notMeant = notMeantAsSecret(text);
  return notMeant === null ? good(text) : bad(notMeant);
};

export const path: Parse<string> = (text) => {
  if (text.includes('\0')) return bad('holds a NUL character, expected a path');
  if (holdsReference(text)) return bad('holds a reference that was not resolved, expected a path');
  return startsWithTilde(text) ? bad(tildeProblem) : good(text);
};

/** `~`, `~/data`, `~name/data`: the service would make a folder of that name. */
export function startsWithTilde(text: string): boolean {
  return /^~[\w.-]*([/\\]|$)/.test(text);
}

export const tildeProblem =
  'starts with ~, which a shell replaces by a home folder and this service does not; write the whole path';
