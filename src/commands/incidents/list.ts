import { type Incidents, maxPageSize } from '../../azure/incidents.ts';
import { systemClock } from '../../ground/clock.ts';
import { textOf } from '../../ground/json.ts';
import { safeJson } from '../../sentinel/incidents/formats.ts';
import { type Incident, numberOf, property } from '../../sentinel/incidents/incident.ts';
import { timeText } from '../../sentinel/incidents/lines.ts';
import { type CommandContext, exitCodes, wrongUsage } from '../context.ts';
import { cutToWidth, displayWidth, printable, renderTable } from '../text.ts';
import { withIncidents } from './connect.ts';
import { isNarrowedHere, readSelection, type SelectionOptions, wantedBy } from './selection.ts';

export interface ListOptions extends SelectionOptions {
  readonly limit: number;
  readonly json?: boolean;
}

export async function list(context: CommandContext, options: ListOptions): Promise<number> {
  const { problem, filter } = readSelection(options, systemClock.now());
  if (problem !== null) return wrongUsage(context, problem);
  return withIncidents(context, {}, async ({ incidents }) => {
    const wanted = await wantedBy(context, incidents, options);
    if (wanted === null) return exitCodes.failed;
    const { found, more } = await collect(incidents, filter, wanted, options);
    if (options.json === true) {
      const resources = found.map(({ resource }) => resource);
      context.stdout.write(`${safeJson({ incidents: resources, more }, 2)}\n`);
    } else {
      context.stdout.write(renderIncidents(found, context.stdout.columns));
    }
    if (found.length === 0) context.stderr.write('No incident matches.\n');
    if (more)
      context.stderr.write(
        `There are more than ${found.length}: see them with a larger --limit, or \`incidents export\`.\n`,
      );
    return exitCodes.done;
  });
}

async function collect(
  incidents: Incidents,
  filter: string | null,
  wanted: (incident: Incident) => boolean,
  options: ListOptions,
): Promise<{ readonly found: readonly Incident[]; readonly more: boolean }> {
  const { limit } = options;
  const found: Incident[] = [];
  // One more than is asked for, to know whether there are more. Where many may be passed over, pages are full ones.
  const pageSize = isNarrowedHere(options) ? maxPageSize : Math.min(maxPageSize, limit + 1);
  for await (const page of incidents.pages({ filter, order: 'desc', pageSize })) {
    found.push(...page.incidents.filter(wanted));
    if (found.length > limit) return { found: found.slice(0, limit), more: true };
  }
  return { found, more: false };
}

const head = ['NUMBER', 'CREATED', 'SEVERITY', 'STATUS', 'TITLE', 'OWNER', 'ALERTS'];
const titleColumn = head.indexOf('TITLE');
const minTitleWidth = 20;

/** On a terminal the titles are cut, so that each incident is one line. */
function renderIncidents(found: readonly Incident[], width: number | undefined): string {
  const rows = found.map(cells);
  if (width === undefined) return renderTable(head, rows);
  const widest = (column: number): number => Math.max(...[head, ...rows].map((row) => displayWidth(row[column] ?? '')));
  const others = head.reduce((sum, _, column) => (column === titleColumn ? sum : sum + widest(column) + 2), 0);
  const room = Math.max(minTitleWidth, width - others);
  return renderTable(
    head,
    rows.map((row) => row.map((cell, column) => (column === titleColumn ? cutToWidth(cell, room) : cell))),
  );
}

function cells({ resource }: Incident): string[] {
  const text = (...path: readonly string[]): string => textOf(property(resource, ...path)) ?? '-';
  const number = (...path: readonly string[]): string => String(numberOf(property(resource, ...path)) ?? '-');
  const owner = [text('owner', 'assignedTo'), text('owner', 'userPrincipalName'), text('owner', 'email')];
  return [
    number('incidentNumber'),
    timeText(textOf(property(resource, 'createdTimeUtc'))),
    text('severity'),
    text('status'),
    text('title'),
    owner.find((name) => name !== '-') ?? '-',
    number('additionalData', 'alertsCount'),
  ].map((cell) => printable(cell.replaceAll(/\s+/g, ' ')));
}
