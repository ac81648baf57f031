import { stringify } from 'csv-stringify/sync';
import { type JsonObject, type JsonValue, objectsOf, textOf, textsOf } from '../../ground/json.ts';
import {
  alertLine,
  commentLine,
  type DetailedIncident,
  type DetailName,
  detailNames,
  entityLine,
  numberOf,
  property,
} from './incident.ts';

type Cell = string | number | null;

export interface Column {
  readonly name: string;
  readonly description: string;
  readonly cell: (incident: DetailedIncident) => Cell;
}

type Read = (value: JsonValue) => Cell;

/** A cell that has several parts. */
const list: Read = (value) => textsOf(value).join('; ') || null;
const labelTexts =
  (member: 'labelName' | 'labelType'): Read =>
  (value) =>
    objectsOf(value)
      .map((label) => textOf(label[member]) ?? '')
      .join('; ') || null;

/** `path`: below the `properties` of the incident. */
function column(name: string, description: string, read: Read, ...path: readonly string[]): Column {
  return { name, description, cell: ({ resource }) => read(property(resource, ...path)) };
}

/** The columns of Get-AzSentinelIncidentListV2.ps1 in its order, with its header `IncidentTile` corrected. */
export const formerColumns: readonly Column[] = [
  { name: 'IncidentUniqueId', description: 'The GUID of the incident', cell: ({ name }) => name },
  column('IncidentTitle', 'Title', textOf, 'title'),
  column('IncidentNumber', 'Number, as the portal shows it', numberOf, 'incidentNumber'),
  column('Description', 'Description', textOf, 'description'),
  column('Severity', 'High, Medium, Low or Informational', textOf, 'severity'),
  column('Status', 'New, Active or Closed', textOf, 'status'),
  column('Label', 'Names of the labels (tags)', labelTexts('labelName'), 'labels'),
  column('Classification', 'Why it was closed', textOf, 'classification'),
  column('ClassificationComment', 'What was written when it was closed', textOf, 'classificationComment'),
  column('AssignedTo', 'Name of the owner', textOf, 'owner', 'assignedTo'),
  column('OwnerEmail', 'E-mail address of the owner', textOf, 'owner', 'email'),
  column('CreatedTimeUTC', 'When the incident was made', textOf, 'createdTimeUtc'),
  column('FirstActivityTimeUTC', 'First event of its alerts', textOf, 'firstActivityTimeUtc'),
  column('LastActivityTimeUTC', 'Last event of its alerts', textOf, 'lastActivityTimeUtc'),
  column('LastModifiedTimeUTC', 'When the incident last changed', textOf, 'lastModifiedTimeUtc'),
  column('FirstActivityTimeGenerated', 'Empty: the API no longer gives it', textOf, 'firstActivityTimeGenerated'),
  column('LastActivityTimeGenerated', 'Empty: the API no longer gives it', textOf, 'lastActivityTimeGenerated'),
  column('AlertProductName', 'Products that its alerts come from', list, 'additionalData', 'alertProductNames'),
  column('CommentCount', 'Number of comments', numberOf, 'additionalData', 'commentsCount'),
  column('AlertCount', 'Number of alerts', numberOf, 'additionalData', 'alertsCount'),
];

export const furtherColumns: readonly Column[] = [
  column('ClassificationReason', 'What stands beside the classification', textOf, 'classificationReason'),
  column('OwnerUPN', 'User principal name of the owner', textOf, 'owner', 'userPrincipalName'),
  column('OwnerObjectId', 'Object id of the owner in Entra ID', textOf, 'owner', 'objectId'),
  column('OwnerType', 'User, Group or Unknown', textOf, 'owner', 'ownerType'),
  column('IncidentUrl', 'Link to the incident in the portal', textOf, 'incidentUrl'),
  column('ProviderName', 'Azure Sentinel, or Microsoft XDR', textOf, 'providerName'),
  column('ProviderIncidentId', 'Its id there', textOf, 'providerIncidentId'),
  column('ProviderIncidentUrl', 'Link to it there', textOf, 'additionalData', 'providerIncidentUrl'),
  column('Tactics', 'MITRE ATT&CK tactics', list, 'additionalData', 'tactics'),
  column('Techniques', 'MITRE ATT&CK techniques', list, 'additionalData', 'techniques'),
  column('RelatedAnalyticRuleIds', 'Resource ids of the rules that made its alerts', list, 'relatedAnalyticRuleIds'),
  column('BookmarksCount', 'Number of bookmarks', numberOf, 'additionalData', 'bookmarksCount'),
  column('LabelTypes', 'User or AutoAssigned, in the order of Label', labelTexts('labelType'), 'labels'),
  {
    name: 'ResourceId',
    description: 'Resource id of the incident, as Azure spells it',
    cell: ({ resource }) => textOf(resource['id']),
  },
];

/** Columns whose cells have one line for each comment, alert or entity. */
export const detailColumns: Readonly<Record<DetailName, Column>> = {
  comments: detailColumn('comments', 'Comments', 'time, author and message', commentLine),
  alerts: detailColumn('alerts', 'Alerts', 'time, severity, name and product', alertLine),
  entities: detailColumn('entities', 'Entities', 'kind and name', entityLine),
};

function detailColumn(what: DetailName, name: string, parts: string, line: (item: JsonObject) => string): Column {
  const description = `With \`--with ${what}\`: a line for each, ${parts}`;
  return { name, description, cell: ({ details }) => details[what]?.map(line).join('\n') || null };
}

/** The columns of an export with these details. */
export function columnsWith(details: readonly DetailName[]): readonly Column[] {
  return [...formerColumns, ...furtherColumns, ...details.map((name) => detailColumns[name])];
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
    const text = safeJson(withDetails(incident));
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
    escape_formulas: true,
    // csv-stringify's own guard misses the line feed, and blanks before a sign.
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

/** Resource Manager's own object, with the details as further members. */
export function withDetails({ resource, details }: DetailedIncident): JsonObject {
  const added = detailNames.flatMap((name) => (details[name] === undefined ? [] : [[name, details[name]] as const]));
  return added.length === 0 ? resource : { ...resource, ...Object.fromEntries(added) };
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
