/** The text of a body, or why it cannot be decoded. */
type DecodedText = { readonly text: string } | { readonly fault: string };

/**
 * Decodes a body with the charset that its Content-Type names (null: none). A byte order mark overrides that charset,
 * and so do bytes that are UTF-8 where the header says Latin-1 or ASCII, which many clients send whatever the body is.
 * Every decoder is `fatal`, because replacement characters would alter what was typed.
 */
export function decodeText(bytes: Uint8Array, charset: string | null): DecodedText {
  const utf16 = utf16Of(bytes, charset);
  if (utf16 !== null) {
    const text = decode(bytes, utf16);
    return text === null ? { fault: `the body is not ${utf16.toUpperCase()}` } : { text };
  }
  const named = charset === null ? 'utf-8' : encodingOf(charset);
  const isMistrusted = named === null || named === 'utf-8' || named === 'windows-1252';
  const text = (isMistrusted ? decode(bytes, 'utf-8') : null) ?? (named === null ? null : decode(bytes, named));
  if (text !== null) return { text };
  if (named !== null && named !== 'utf-8') return { fault: `the body is not ${named.toUpperCase()}` };
  const unknown = ', and its Content-Type names a charset that is not known here';
  return { fault: `the body is not UTF-8 at ${placeOfFault(bytes)}${named === null ? unknown : ''}` };
}

/** Decided by the byte order mark, the charset, or the zero byte next to a first character that JSON allows. */
function utf16Of(bytes: Uint8Array, charset: string | null): 'utf-16le' | 'utf-16be' | null {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  if (first === 0 && second !== undefined && second !== 0) return 'utf-16be';
  if (first !== undefined && first !== 0 && second === 0) return 'utf-16le';
  const named = charset === null ? null : encodingOf(charset);
  return named === 'utf-16le' || named === 'utf-16be' ? named : null;
}

/** The name of an encoding in the Encoding standard, null for one that it does not know. */
function encodingOf(charset: string): string | null {
  try {
    return new TextDecoder(charset).encoding;
  } catch {
    return null;
  }
}

/** Strips a byte order mark. */
function decode(bytes: Uint8Array, encoding: string): string | null {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The place of the first bytes that are not UTF-8. */
function placeOfFault(bytes: Uint8Array): string {
  const before = new TextDecoder().decode(bytes).split('\uFFFD', 1)[0] ?? '';
  const lines = before.split('\n');
  return `line ${lines.length} column ${(lines.at(-1)?.length ?? 0) + 1}`;
}
