import { stringify } from 'csv-stringify/sync';
import type { JsonObject } from '../../ground/json.ts';
import { columnsWith } from './columns.ts';
import { type DetailedIncident, type DetailName, detailNames } from './incident.ts';

export const formatNames = ['csv', 'json', 'ndjson'] as const;
export type FormatName = (typeof formatNames)[number];

/** Makes the text of an export in parts: `head`, then `part` for each page, then `tail`. */
interface FormatWriter {
  readonly head: string;
  part(incidents: readonly DetailedIncident[]): string;
  readonly tail: string;
}

export interface FormatOptions {
  readonly format: FormatName;
  readonly details: readonly DetailName[];
  /** CSV only: begins with a byte order mark, from which Excel knows that it is UTF-8. */
  readonly bom?: boolean;
}

export function createFormat({ format, details, bom = false }: FormatOptions): FormatWriter {
  if (format === 'csv') return createCsv(details, bom);
  if (format === 'ndjson') {
    return { head: '', part: (incidents) => incidents.map((one) => `${jsonOf(one)}\n`).join(''), tail: '' };
  }
  let between = '\n';
  const item = (incident: DetailedIncident): string => {
    const text = `${between}${jsonOf(incident)}`;
    between = ',\n';
    return text;
  };
  return { head: '[', part: (incidents) => incidents.map(item).join(''), tail: '\n]\n' };
}

/** RFC 4180: CRLF, and quotes where they are needed, doubled inside of a field. Numbers have none. */
function createCsv(details: readonly DetailName[], bom: boolean): FormatWriter {
  const columns = columnsWith(details);
  const options = {
    record_delimiter: 'windows',
    // RFC 4180 wants a lone LF quoted too. With `record_delimiter`, csv-stringify 6.9 has this off by default.
    quote_record_delimiter: true,
    escape_formulas: true,
    // csv-stringify's own guard misses the line feed, and blanks before a sign.
    cast: { string: guardCell },
  } as const;
  return {
    head: `${bom ? '\uFEFF' : ''}${stringify([columns.map(({ name }) => name)], options)}`,
    part: (incidents) =>
      stringify(
        incidents.map((incident) => columns.map(({ cell }) => cell(incident))),
        options,
      ),
    tail: '',
  };
}

/**
 * What a spreadsheet may take for a formula: text that begins with `=`, `+`, `-` or `@`, also in full width (Excel in
 * Japan, Numbers), with a tab, a carriage return or a line feed (https://owasp.org/www-community/attacks/CSV_Injection),
 * or with one of the signs after blanks or characters of no width, which an import may trim.
 */
const formula = /^(?:[\t\r\n]|[\s\p{Cc}\p{Cf}]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/u;

/** Puts an apostrophe, which readers strip again, before text that could run as a formula. */
export function guardCell(text: string): string {
  return formula.test(text) ? `'${text}` : text;
}

/** Resource Manager's own object, with the details as further members. */
export function withDetails({ resource, details }: DetailedIncident): JsonObject {
  const added = detailNames.flatMap((name) => (details[name] === undefined ? [] : [[name, details[name]] as const]));
  return added.length === 0 ? resource : { ...resource, ...Object.fromEntries(added) };
}

function jsonOf(incident: DetailedIncident): string {
  return safeJson(withDetails(incident));
}

/**
 * JSON in which characters that steer a terminal are escaped. JSON.stringify escapes those below U+0020; the others
 * mean the same to any reader of JSON when they are escaped.
 */
export function safeJson(value: object, indent?: number): string {
  return JSON.stringify(value, null, indent).replaceAll(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
