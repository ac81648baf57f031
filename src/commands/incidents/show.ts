import type { Command } from 'commander';
import { ArmError } from '../../azure/arm-error.ts';
import type { Incidents } from '../../azure/incidents.ts';
import { guid } from '../../config/parse.ts';
import { type JsonObject, numberText, objectsOf, textOf, textsOf } from '../../ground/json.ts';
import { safeJson } from '../../sentinel/incidents/formats.ts';
import {
  alertLine,
  commentAuthor,
  commentText,
  type DetailedIncident,
  detailNames,
  entityLine,
  type Incident,
  type IncidentDetails,
  property,
  textAt,
  timeText,
} from '../../sentinel/incidents/incident.ts';
import { type CommandContext, exitCodes, failed, type JsonOption, wrongUsage } from '../context.ts';
import { printable, wrap } from '../text.ts';
import { allInOrder, armErrorText, withIncidents } from './connect.ts';

export const define = (command: Command) =>
  command
    .argument('<id>')
    .description('show one incident, by its number or its GUID, with comments, alerts and entities')
    .option('--json', "print JSON: Resource Manager's own object, with comments, alerts and entities as members");

/** Nobody reads more names than this. */
const maxRuleNames = 10;

/** One incident with all that belongs to it. `id`: its number, its GUID, or a resource id that ends with it. */
export async function run(context: CommandContext, id: string, { json }: JsonOption): Promise<number> {
  const name = id.split('/').at(-1) ?? '';
  const number = /^#?(\d{1,15})$/.exec(id)?.[1];
  if (number === undefined && !guid.test(name)) {
    throw wrongUsage(`${JSON.stringify(id)} is neither the number of an incident nor its GUID`);
  }
  const { stdout } = context;
  return withIncidents(context, {}, async ({ incidents, workspaceId }) => {
    const found = number === undefined ? await incidents.get(name) : await byNumber(incidents, Number(number));
    if (found === null) {
      throw failed(`incident_not_found: There is no incident ${id} in the workspace ${workspaceId}.`);
    }
    const { detailed, refusals } = await withReadableDetails(incidents, found);
    if (json === true) stdout.write(`${safeJson({ ...detailed.resource, ...detailed.details }, 2)}\n`);
    else stdout.write(renderIncident(detailed, await ruleNames(incidents, detailed), stdout.columns ?? 100));
    if (refusals.length === 0) return exitCodes.done;
    throw failed(refusals.map(armErrorText).join('\n'));
  });
}

/**
 * Leaves out what may not be read: an identity can have the right to incidents and not to what belongs to them. Each part
 * that was refused is reported, in the order of the parts, because they can need different roles.
 */
async function withReadableDetails(incidents: Incidents, found: Incident) {
  const read = await allInOrder(
    detailNames.map((name) =>
      incidents.details(found, name).catch((error: unknown) => {
        if (error instanceof ArmError && error.code === 'role_missing') return error;
        throw error;
      }),
    ),
  );
  const named = detailNames.map((name, index) => [name, read[index]] as const);
  const details: IncidentDetails = Object.fromEntries(named.filter(([, part]) => !(part instanceof ArmError)));
  return { detailed: { ...found, details }, refusals: read.filter((part) => part instanceof ArmError) };
}

async function byNumber(incidents: Incidents, number: number): Promise<Incident | null> {
  const query = { filter: `properties/incidentNumber eq ${number}`, order: 'desc', pageSize: 10 } as const;
  for await (const page of incidents.pages(query)) {
    const found = page.incidents.find(({ resource }) => property(resource, 'incidentNumber') === number);
    if (found !== undefined) return found;
  }
  return null;
}

type RuleNames = ReadonlyMap<string, string | null>;

/** Names of the rules by their resource ids; a rule that is gone has none. */
async function ruleNames(incidents: Incidents, { resource }: DetailedIncident): Promise<RuleNames> {
  const ids = textsOf(property(resource, 'relatedAnalyticRuleIds')).slice(0, maxRuleNames);
  const named = ids.map(async (id) => [id, await incidents.ruleName(id.split('/').at(-1) ?? '')] as const);
  return new Map(await allInOrder(named));
}

const labelWidth = 16;
const minWidth = 40;

function renderIncident(incident: DetailedIncident, names: RuleNames, width: number): string {
  const room = Math.max(minWidth, width);
  const { resource, details } = incident;
  const number = numberText(property(resource, 'incidentNumber')) ?? '-';
  const title = textAt(resource, 'title') ?? '(no title)';
  const description = textAt(resource, 'description');
  const link = textAt(resource, 'incidentUrl');
  const lines = [
    ...wrap(`Incident ${number}: ${title}`, room),
    '',
    ...fieldsOf(incident, names).flatMap(([label, value]) =>
      value === null ? [] : wrap(value, room, `${label}:`.padEnd(labelWidth)),
    ),
    // Not wrapped, since a broken link cannot be followed.
    ...(link === null ? [] : [`${'Link:'.padEnd(labelWidth)}${printable(link.replaceAll(/\s+/g, ' '))}`]),
    ...(description === null ? [] : ['', 'Description', ...wrap(description, room, '  ')]),
    ...section('Alerts', details.alerts, (alert) => wrap(alertLine(alert), room, '  - ')),
    ...section('Entities', details.entities, (entity) => wrap(entityLine(entity), room, '  - ')),
    ...section('Comments', details.comments, (comment) => {
      const time = timeText(textAt(comment, 'createdTimeUtc'));
      return [`  ${printable(`${time}, ${commentAuthor(comment)}`)}`, ...wrap(commentText(comment), room, '    ')];
    }),
  ];
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

function section(
  heading: string,
  items: readonly JsonObject[] | null | undefined,
  linesOf: (item: JsonObject) => readonly string[],
): string[] {
  if (!items?.length) return [];
  return ['', `${heading} (${items.length})`, ...items.flatMap(linesOf)];
}

type Field = readonly [label: string, value: string | null];

function fieldsOf({ name, resource }: DetailedIncident, ruleNames: RuleNames): readonly Field[] {
  const text = (...path: readonly string[]): string | null => textAt(resource, ...path);
  const time = (member: string): string | null => (text(member) === null ? null : timeText(text(member)));
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
  const text = (member: string): string | null => textAt(resource, 'owner', member);
  const address = text('userPrincipalName') ?? text('email');
  const name = text('assignedTo');
  return name !== null && address !== null ? `${name} (${address})` : (name ?? address ?? text('objectId') ?? 'nobody');
}

function joined(parts: readonly (string | null)[], separator: string): string | null {
  return parts.filter((part) => part !== null).join(separator) || null;
}
