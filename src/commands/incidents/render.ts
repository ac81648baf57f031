import { type JsonObject, objectsOf, textOf, textsOf } from '../../ground/json.ts';
import { type DetailedIncident, numberOf, property } from '../../sentinel/incidents/incident.ts';
import { alertLine, commentAuthor, commentText, entityLine } from '../../sentinel/incidents/lines.ts';
import { printable, wrap } from '../text.ts';

const labelWidth = 16;
const minWidth = 40;

/** An incident to be read on a terminal of that width. */
export function renderIncident(
  incident: DetailedIncident,
  ruleNames: ReadonlyMap<string, string>,
  width: number,
): string {
  const room = Math.max(minWidth, width);
  const { comments = [], alerts = [], entities = [] } = incident.details;
  const parts = [
    ...titleLines(incident.resource, room),
    '',
    ...fieldLines(fieldsOf(incident, ruleNames), room),
    ...linkLine(incident.resource),
    ...section('Description', textOf(property(incident.resource, 'description')) ?? '', room),
    ...listSection('Alerts', alerts, room, (alert) => alertLine(alert)),
    ...listSection('Entities', entities, room, (entity) => entityLine(entity)),
    ...commentSection(comments, room),
  ];
  return parts.map((line) => `${line.trimEnd()}\n`).join('');
}

function titleLines(resource: JsonObject, room: number): readonly string[] {
  const number = numberOf(property(resource, 'incidentNumber')) ?? '-';
  return wrap(readable(`Incident ${number}: ${textOf(property(resource, 'title')) ?? '(no title)'}`), room);
}

/** Not wrapped, since a broken link cannot be followed. */
function linkLine(resource: JsonObject): string[] {
  const link = textOf(property(resource, 'incidentUrl'));
  return link === null ? [] : [`${'Link:'.padEnd(labelWidth)}${readable(link).replaceAll(/\s+/g, ' ')}`];
}

type Field = readonly [label: string, value: string | null];

function fieldsOf({ name, resource }: DetailedIncident, ruleNames: ReadonlyMap<string, string>): readonly Field[] {
  const text = (...path: readonly string[]): string | null => textOf(property(resource, ...path));
  const time = (member: string): string | null => readableTime(text(member));
  const list = (...path: readonly string[]): string | null => textsOf(property(resource, ...path)).join(', ') || null;
  const rules = textsOf(property(resource, 'relatedAnalyticRuleIds')).map(
    (id) => ruleNames.get(id) ?? id.split('/').at(-1) ?? id,
  );
  const labels = objectsOf(property(resource, 'labels')).map((label) => textOf(label['labelName']) ?? '');
  return [
    ['Severity', text('severity')],
    ['Status', joined([text('status'), text('classification'), text('classificationReason')], ', ')],
    ['Closing comment', text('classificationComment')],
    ['Owner', ownerOf(resource)],
    ['Created', time('createdTimeUtc')],
    ['Modified', time('lastModifiedTimeUtc')],
    ['Activity', joined([time('firstActivityTimeUtc'), time('lastActivityTimeUtc')], ' to ')],
    ['Labels', labels.join(', ') || null],
    ['Tactics', joined([list('additionalData', 'tactics'), list('additionalData', 'techniques')], '; ')],
    ['Rules', rules.join(', ') || null],
    ['Provider', joined([text('providerName'), text('additionalData', 'providerIncidentUrl')], ' ')],
    ['Name', name],
  ];
}

function ownerOf(resource: JsonObject): string | null {
  const text = (member: string): string | null => textOf(property(resource, 'owner', member));
  const address = text('userPrincipalName') ?? text('email');
  const name = text('assignedTo');
  return name !== null && address !== null ? `${name} (${address})` : (name ?? address ?? text('objectId') ?? 'nobody');
}

function joined(parts: readonly (string | null)[], separator: string): string | null {
  return parts.filter((part) => part !== null).join(separator) || null;
}

function readable(text: string): string {
  return printable(text.replaceAll(/\r\n?/g, '\n'));
}

/** `2026-11-01 10:00:00 UTC`; another text stays as it is. */
function readableTime(time: string | null): string | null {
  return time?.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z$/, '$1 $2 UTC') ?? null;
}

function fieldLines(fields: readonly Field[], room: number): string[] {
  return fields.flatMap(([label, value]) => {
    if (value === null) return [];
    const lines = wrap(readable(value), room - labelWidth);
    return lines.map((line, index) => `${(index === 0 ? `${label}:` : '').padEnd(labelWidth)}${line}`);
  });
}

function section(heading: string, text: string, room: number): string[] {
  return text === '' ? [] : ['', heading, ...wrap(readable(text), room - 2).map((line) => `  ${line}`)];
}

function listSection(
  heading: string,
  items: readonly JsonObject[] | null,
  room: number,
  lineOf: (item: JsonObject) => string,
): string[] {
  if (items === null || items.length === 0) return [];
  const lines = items.flatMap((item) =>
    wrap(readable(lineOf(item)), room - 4).map((line, index) => `${index === 0 ? '  - ' : '    '}${line}`),
  );
  return ['', `${heading} (${items.length})`, ...lines];
}

function commentSection(comments: readonly JsonObject[] | null, room: number): string[] {
  if (comments === null || comments.length === 0) return [];
  const lines = comments.flatMap((comment) => [
    `  ${readable(`${readableTime(textOf(property(comment, 'createdTimeUtc'))) ?? '-'}, ${commentAuthor(comment)}`)}`,
    ...wrap(readable(commentText(comment)), room - 4).map((line) => `    ${line}`),
  ]);
  return ['', `Comments (${comments.length})`, ...lines];
}
