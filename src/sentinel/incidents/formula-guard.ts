/**
 * What a spreadsheet may take for a formula: `=`, `+`, `-`, `@`, also in full width (Excel in Japan, Numbers), a tab, a
 * carriage return or a line feed first (https://owasp.org/www-community/attacks/CSV_Injection); and the same signs behind
 * blanks or characters of no width, which an import may trim.
 */
const formula = /^(?:[\t\r\n]|[\s\p{Cc}\p{Cf}]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/u;

/** The text with an apostrophe in front where it could be run; a reader takes that one off again. Numbers are none. */
export function guardCell(text: string): string {
  return formula.test(text) ? `'${text}` : text;
}
