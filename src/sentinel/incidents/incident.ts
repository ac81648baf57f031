import { isJsonObject, type JsonObject, type JsonValue, textOf, valueAt } from '../../ground/json.ts';

/** An incident as Resource Manager gave it: `resource` is its complete object. */
export interface Incident {
  /** The GUID by which Sentinel knows the incident, which is also the last part of its resource id. */
  readonly name: string;
  readonly resource: JsonObject;
}

/** What `--with` adds. */
export const detailNames = ['comments', 'alerts', 'entities'] as const;
export type DetailName = (typeof detailNames)[number];
/** Null: the incident was deleted between the list and the request for its details. */
export type IncidentDetails = { readonly [Name in DetailName]?: readonly JsonObject[] | null };

export interface DetailedIncident extends Incident {
  readonly details: IncidentDetails;
}

/** Null when the value is not an incident: it has neither a name nor an id from which to take one. */
export function readIncident(value: JsonValue): Incident | null {
  if (!isJsonObject(value)) return null;
  const name = textOf(value['name']) ?? textOf(value['id'])?.split('/').at(-1) ?? '';
  return name === '' ? null : { name, resource: value };
}

export function property(resource: JsonObject, ...path: readonly string[]): JsonValue {
  return valueAt(resource, 'properties', ...path);
}

export function textAt(resource: JsonObject, ...path: readonly string[]): string | null {
  return textOf(property(resource, ...path));
}

/** A comment as one line of text, like an alert and an entity below. */
export function commentLine(comment: JsonObject): string {
  return `${timeText(textAt(comment, 'createdTimeUtc'))} ${commentAuthor(comment)}: ${oneLine(commentText(comment))}`;
}

export function commentAuthor(comment: JsonObject): string {
  const author = (member: string) => textAt(comment, 'author', member);
  return author('name') ?? author('userPrincipalName') ?? author('email') ?? author('objectId') ?? '(unknown)';
}

export function alertLine(alert: JsonObject): string {
  const time = textAt(alert, 'timeGenerated') ?? textAt(alert, 'startTimeUtc');
  const name = textAt(alert, 'alertDisplayName') ?? textAt(alert, 'friendlyName') ?? '(no name)';
  const product = textAt(alert, 'productName');
  const severity = textAt(alert, 'severity') ?? '-';
  return `${timeText(time)} ${severity} ${oneLine(name)}${product === null ? '' : ` (${product})`}`;
}

/** Members that name an entity, the best first, since not every kind has a friendlyName. */
const naming = ['friendlyName', 'address', 'url', 'domainName', 'hostName', 'accountName', 'appName', 'fileName'];

export function entityLine(entity: JsonObject): string {
  const kind = textOf(entity['kind']) ?? 'Entity';
  const name = naming.map((member) => textAt(entity, member)).find((found) => found !== null);
  const account = kind === 'Account' ? accountOf(entity) : null;
  return `${kind}: ${oneLine(account ?? name ?? textOf(entity['name']) ?? '(no name)')}`;
}

/** `zoe@example.com`, whose name and suffix Sentinel keeps apart. */
function accountOf(entity: JsonObject): string | null {
  const name = textAt(entity, 'accountName');
  const suffix = textAt(entity, 'upnSuffix');
  return name === null || suffix === null || name.includes('@') ? null : `${name}@${suffix}`;
}

/** Removes the up to seven decimals of Azure's times, which nobody reads. Other texts stay as they are. */
export function timeText(time: string | null): string {
  return time === null ? '-' : time.replace(/^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z$/, '$1Z');
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };

/**
 * The portal writes comments as HTML, of which this makes text: line breaks where blocks end, no tags, entities decoded
 * once. A comment without HTML stays as it is, so that "a < b" of one that came through the API is not taken for a tag.
 */
export function commentText(comment: JsonObject): string {
  const message = textAt(comment, 'message') ?? '';
  if (!/<\/?(?:p|div|br|span|a|b|i|u|ul|ol|li|strong|em|h[1-6]|table|tr|td|code|pre)\b[^<>]*>/i.test(message))
    return message;
  return message
    .replaceAll(/<br\b[^<>]*>|<\/(?:p|div|li|tr|h[1-6]|pre)\s*>/gi, '\n')
    .replaceAll(/<li\b[^<>]*>/gi, '- ')
    .replaceAll(/<\/?[a-z][^<>]*>/gi, '')
    .replaceAll(/&(?:#(\d{1,7}|x[0-9a-f]{1,6})|([a-z]+));/gi, decode)
    .replaceAll(/[ \t]+\n/g, '\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim();
}

function decode(whole: string, number?: string, name?: string): string {
  if (name !== undefined) return named[name.toLowerCase()] ?? whole;
  const code = Number(`0${number}`);
  return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : whole;
}
