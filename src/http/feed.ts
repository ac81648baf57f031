const maxCharacters = 128;
/** Control, format, surrogate, private and unassigned characters, and the two separators that break lines. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/u;

/**
 * The X-Apono-Feed header: a label that the Apono admin chose, for the column `feed`. It is trimmed, and UTF-8 (Node
 * hands headers on as latin1). One that is empty, longer than 128 characters, not printable, or sent twice with
 * different values is left out (null): a label is not worth an event.
 */
export function feedOf(values: readonly string[] | undefined): string | null {
  const [first, ...others] = values ?? [];
  if (first === undefined || others.some((other) => other !== first)) return null;
  const label = decodeUtf8(first)?.trim() ?? '';
  if (label === '' || [...label].length > maxCharacters || unprintable.test(label)) return null;
  return label;
}

function decodeUtf8(header: string): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(header, 'latin1'));
  } catch {
    return null;
  }
}
