import type { Command } from 'commander';
import { type Incidents, maxPageSize } from '../../azure/incidents.ts';
import { systemClock } from '../../ground/clock.ts';
import { numberText } from '../../ground/json.ts';
import { safeJson } from '../../sentinel/incidents/formats.ts';
import { type Incident, property, textAt, timeText } from '../../sentinel/incidents/incident.ts';
import { type CommandContext, exitCodes, type JsonOption } from '../context.ts';
import { cutToWidth, renderTable, wholeNumber } from '../text.ts';
import { withIncidents } from './connect.ts';
import { defineSelection, isNarrowedHere, readSelection, type SelectionOptions, wantedBy } from './selection.ts';

export const define = (command: Command) =>
  defineSelection(command)
    .description('list incidents, newest first')
    .option('--limit <number>', 'at most so many', wholeNumber(1), 50)
    .option('--json', "print JSON: Resource Manager's own objects");

type ListOptions = SelectionOptions & JsonOption & { readonly limit: number };

export async function run(context: CommandContext, options: ListOptions): Promise<number> {
  const { stdout, stderr } = context;
  const filter = readSelection(options, systemClock.now());
  return withIncidents(context, {}, async ({ incidents }) => {
    const { found, more } = await collect(incidents, filter, options);
    const resources = found.map(({ resource }) => resource);
    if (options.json === true) stdout.write(`${safeJson({ incidents: resources, more }, 2)}\n`);
    else stdout.write(renderIncidents(found, stdout.columns));
    if (found.length === 0) stderr.write('No incident matches.\n');
    const further = 'see them with a larger --limit, or `incidents export`';
    if (more) stderr.write(`There are more than ${found.length}: ${further}.\n`);
    return exitCodes.done;
  });
}

async function collect(incidents: Incidents, filter: string | null, options: ListOptions) {
  const { limit } = options;
  const wanted = await wantedBy(incidents, options);
  const found: Incident[] = [];
  // One more than is asked for, to know whether there are more. Where many may be passed over, pages are full ones.
  const pageSize = isNarrowedHere(options) ? maxPageSize : Math.min(maxPageSize, limit + 1);
  for await (const page of incidents.pages({ filter, order: 'desc', pageSize })) {
    found.push(...page.incidents.filter(wanted));
    if (found.length > limit) return { found: found.slice(0, limit), more: true };
  }
  return { found, more: false };
}

const head = ['NUMBER', 'CREATED', 'SEVERITY', 'STATUS', 'ALERTS', 'OWNER', 'TITLE'];

/** On a terminal the lines are cut, and with them the titles, so that each incident is one line. */
function renderIncidents(found: readonly Incident[], width = Number.POSITIVE_INFINITY): string {
  const lines = renderTable(head, found.map(cells)).split('\n');
  return lines.map((line) => cutToWidth(line, width)).join('\n');
}

function cells({ resource }: Incident): string[] {
  const text = (...path: readonly string[]): string => textAt(resource, ...path) ?? '-';
  const number = (...path: readonly string[]): string => numberText(property(resource, ...path)) ?? '-';
  const owner = [text('owner', 'assignedTo'), text('owner', 'userPrincipalName'), text('owner', 'email')];
  return [
    number('incidentNumber'),
    timeText(textAt(resource, 'createdTimeUtc')),
    text('severity'),
    text('status'),
    number('additionalData', 'alertsCount'),
    owner.find((name) => name !== '-') ?? '-',
    text('title'),
  ].map((cell) => cell.replaceAll(/\s+/g, ' '));
}
