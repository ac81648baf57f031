import { ArmError } from '../../azure/arm-error.ts';
import type { Incidents } from '../../azure/incidents.ts';
import { textsOf } from '../../ground/json.ts';
import { incidentFilter } from '../../sentinel/incidents/filter.ts';
import { safeJson, withDetails } from '../../sentinel/incidents/formats.ts';
import {
  type DetailedIncident,
  detailNames,
  type Incident,
  type IncidentDetails,
  property,
} from '../../sentinel/incidents/incident.ts';
import { type CommandContext, exitCodes, wrongUsage } from '../context.ts';
import { printable } from '../text.ts';
import { allInOrder, reportArmError, withIncidents } from './connect.ts';
import { renderIncident } from './render.ts';

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Nobody reads more names than this. */
const maxRuleNames = 10;

/** One incident with all that belongs to it. `id`: its number, its GUID, or a resource id that ends with it. */
export async function show(context: CommandContext, id: string, options: { readonly json?: boolean }): Promise<number> {
  const name = id.split('/').at(-1) ?? '';
  const number = /^#?(\d{1,15})$/.exec(id)?.[1];
  if (number === undefined && !guid.test(name)) {
    return wrongUsage(context, `${printable(JSON.stringify(id))} is neither the number of an incident nor its GUID`);
  }
  return withIncidents(context, {}, async ({ incidents, workspaceId }) => {
    const found = number === undefined ? await incidents.get(name) : await byNumber(incidents, Number(number));
    if (found === null) {
      context.stderr.write(
        `incident_not_found: There is no incident ${printable(id)} in the workspace ${workspaceId}.\n`,
      );
      return exitCodes.failed;
    }
    const { detailed, refusals } = await withReadableDetails(incidents, found);
    const text =
      options.json === true
        ? `${safeJson(withDetails(detailed), 2)}\n`
        : renderIncident(detailed, await ruleNames(incidents, detailed), context.stdout.columns ?? 100);
    context.stdout.write(text);
    for (const refusal of refusals) reportArmError(context, refusal);
    return refusals.length === 0 ? exitCodes.done : exitCodes.failed;
  });
}

/**
 * Leaves out what may not be read: an identity can have the right to incidents and not to what belongs to them. Each part
 * that was refused is reported, in the order of the parts, because they can need different roles.
 */
async function withReadableDetails(
  incidents: Incidents,
  found: Incident,
): Promise<{ readonly detailed: DetailedIncident; readonly refusals: readonly ArmError[] }> {
  const read = await allInOrder(
    detailNames.map(async (name) => {
      try {
        return { name, items: await incidents.details(found, name) };
      } catch (error) {
        if (error instanceof ArmError && error.code === 'role_missing') return error;
        throw error;
      }
    }),
  );
  const parts = read.filter((part) => !(part instanceof ArmError));
  const details: IncidentDetails = Object.fromEntries(parts.map(({ name, items }) => [name, items]));
  return { detailed: { ...found, details }, refusals: read.filter((part) => part instanceof ArmError) };
}

async function byNumber(incidents: Incidents, number: number): Promise<Incident | null> {
  const filter = incidentFilter({ number });
  for await (const page of incidents.pages({ filter, order: 'desc', pageSize: 10 })) {
    const found = page.incidents.find(({ resource }) => property(resource, 'incidentNumber') === number);
    if (found !== undefined) return found;
  }
  return null;
}

/** Names of the rules by their resource ids; a rule that is gone has none. */
async function ruleNames(incidents: Incidents, { resource }: DetailedIncident): Promise<ReadonlyMap<string, string>> {
  const ids = textsOf(property(resource, 'relatedAnalyticRuleIds')).slice(0, maxRuleNames);
  const found = await Promise.all(
    ids.map(async (id) => [id, await incidents.ruleName(id.split('/').at(-1) ?? '')] as const),
  );
  return new Map(found.flatMap(([id, name]) => (name === null ? [] : [[id, name] as const])));
}
