const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };

/**
 * HTML as text: line breaks where blocks end, tags gone, entities decoded once. What is no HTML stays as it is, so that
 * "a < b" in a comment that was written through the API is not taken for a tag.
 */
export function plainText(message: string): string {
  if (!/<\/?(?:p|div|br|span|a|b|i|u|ul|ol|li|strong|em|h[1-6]|table|tr|td|code|pre)\b[^<>]*>/i.test(message))
    return message;
  return message
    .replaceAll(/<br\b[^<>]*>|<\/(?:p|div|li|tr|h[1-6]|pre)\s*>/gi, '\n')
    .replaceAll(/<li\b[^<>]*>/gi, '- ')
    .replaceAll(/<\/?[a-z][^<>]*>/gi, '')
    .replaceAll(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]+));/gi, decode)
    .replaceAll(/[ \t]+\n/g, '\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim();
}

function decode(whole: string, decimal?: string, hex?: string, name?: string): string {
  if (name !== undefined) return named[name.toLowerCase()] ?? whole;
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
  return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : whole;
}
