import { stringify } from 'csv-stringify/sync';
import { type JsonValue, numberText, objectsOf, textOf, textsOf } from '../../ground/json.ts';
import { alertLine, commentLine, type DetailedIncident, type DetailName, entityLine, property } from './incident.ts';

type Cell = string | number | null;

export interface Column {
  readonly name: string;
  readonly cell: (incident: DetailedIncident) => Cell;
}

type Read = (value: JsonValue) => Cell;

/** A number stays one, so that nothing comes before its sign; one that a double cannot hold keeps its digits as text. */
const count: Read = (value) => (typeof value === 'number' ? value : numberText(value));
const joined = (parts: readonly string[]): Cell => parts.join('; ') || null;
const list: Read = (value) => joined(textsOf(value));
const labelNames: Read = (value) => joined(objectsOf(value).map((label) => textOf(label['labelName']) ?? ''));
const labelTypes: Read = (value) => joined(objectsOf(value).map((label) => textOf(label['labelType']) ?? ''));

/** `path`: below the `properties` of the incident. */
function column(name: string, read: Read, ...path: readonly string[]): Column {
  return { name, cell: ({ resource }) => read(property(resource, ...path)) };
}

/** The first twenty are those of Get-AzSentinelIncidentListV2.ps1 in its order, with its header `IncidentTile` corrected. */
const incidentColumns: readonly Column[] = [
  { name: 'IncidentUniqueId', cell: ({ name }) => name },
  column('IncidentTitle', textOf, 'title'),
  column('IncidentNumber', count, 'incidentNumber'),
  column('Description', textOf, 'description'),
  column('Severity', textOf, 'severity'),
  column('Status', textOf, 'status'),
  column('Label', labelNames, 'labels'),
  column('Classification', textOf, 'classification'),
  column('ClassificationComment', textOf, 'classificationComment'),
  column('AssignedTo', textOf, 'owner', 'assignedTo'),
  column('OwnerEmail', textOf, 'owner', 'email'),
  column('CreatedTimeUTC', textOf, 'createdTimeUtc'),
  column('FirstActivityTimeUTC', textOf, 'firstActivityTimeUtc'),
  column('LastActivityTimeUTC', textOf, 'lastActivityTimeUtc'),
  column('LastModifiedTimeUTC', textOf, 'lastModifiedTimeUtc'),
  // The API no longer gives these two.
  column('FirstActivityTimeGenerated', textOf, 'firstActivityTimeGenerated'),
  column('LastActivityTimeGenerated', textOf, 'lastActivityTimeGenerated'),
  column('AlertProductName', list, 'additionalData', 'alertProductNames'),
  column('CommentCount', count, 'additionalData', 'commentsCount'),
  column('AlertCount', count, 'additionalData', 'alertsCount'),
  column('ClassificationReason', textOf, 'classificationReason'),
  column('OwnerUPN', textOf, 'owner', 'userPrincipalName'),
  column('OwnerObjectId', textOf, 'owner', 'objectId'),
  column('OwnerType', textOf, 'owner', 'ownerType'),
  column('IncidentUrl', textOf, 'incidentUrl'),
  column('ProviderName', textOf, 'providerName'),
  column('ProviderIncidentId', textOf, 'providerIncidentId'),
  column('ProviderIncidentUrl', textOf, 'additionalData', 'providerIncidentUrl'),
  column('Tactics', list, 'additionalData', 'tactics'),
  column('Techniques', list, 'additionalData', 'techniques'),
  column('RelatedAnalyticRuleIds', list, 'relatedAnalyticRuleIds'),
  column('BookmarksCount', count, 'additionalData', 'bookmarksCount'),
  column('LabelTypes', labelTypes, 'labels'),
  { name: 'ResourceId', cell: ({ resource }) => textOf(resource['id']) },
];

const detailLines = {
  comments: ['Comments', commentLine],
  alerts: ['Alerts', alertLine],
  entities: ['Entities', entityLine],
} as const;

/** The columns of an export with these details, whose cells have one line for each comment, alert or entity. */
export function columnsWith(details: readonly DetailName[]): readonly Column[] {
  const detailColumns = details.map((detail) => {
    const [name, line] = detailLines[detail];
    return { name, cell: (incident: DetailedIncident) => incident.details[detail]?.map(line).join('\n') || null };
  });
  return [...incidentColumns, ...detailColumns];
}

export const formatNames = ['csv', 'json', 'ndjson'] as const;
export type FormatName = (typeof formatNames)[number];

export interface FormatOptions {
  readonly format: FormatName;
  readonly details: readonly DetailName[];
  /** CSV only: begins with a byte order mark, from which Excel knows that it is UTF-8. */
  readonly bom?: boolean;
}

/** Makes the text of an export in parts: `head`, then `part` for each page, then `tail`. */
export function createFormat({ format, details, bom = false }: FormatOptions) {
  if (format === 'csv') return createCsv(details, bom);
  let isFirst = true;
  const item = (incident: DetailedIncident): string => {
    const text = safeJson({ ...incident.resource, ...incident.details });
    if (format === 'ndjson') return `${text}\n`;
    const between = isFirst ? '\n' : ',\n';
    isFirst = false;
    return `${between}${text}`;
  };
  const part = (incidents: readonly DetailedIncident[]): string => incidents.map(item).join('');
  return format === 'ndjson' ? { head: '', part, tail: '' } : { head: '[', part, tail: '\n]\n' };
}

/** RFC 4180: CRLF, and quotes where they are needed, doubled inside of a field. Numbers have none. */
function createCsv(details: readonly DetailName[], bom: boolean) {
  const columns = columnsWith(details);
  const options = {
    record_delimiter: 'windows',
    // RFC 4180 wants a lone LF quoted too. With `record_delimiter`, csv-stringify 6.9 has this off by default.
    quote_record_delimiter: true,
    // In place of escape_formulas, which misses the line feed, and blanks before a sign.
    cast: { string: guardCell },
  } as const;
  return {
    head: `${bom ? '\uFEFF' : ''}${stringify([columns.map(({ name }) => name)], options)}`,
    part(incidents: readonly DetailedIncident[]): string {
      const rows = incidents.map((incident) => columns.map(({ cell }) => cell(incident)));
      return stringify(rows, options);
    },
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
