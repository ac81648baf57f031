import { type Command, InvalidArgumentError } from 'commander';
import type { Incidents } from '../../azure/incidents.ts';
import {
  aponoRuleNames,
  classifications,
  filterProblem,
  hasLabel,
  incidentFilter,
  isMadeBy,
  parseMoment,
  severities,
  statuses,
  timeForms,
} from '../../sentinel/incidents/filter.ts';
import { type Incident, textAt } from '../../sentinel/incidents/incident.ts';
import { failed, wrongUsage } from '../context.ts';

type Texts = Readonly<Record<'since' | 'until' | 'filter', string>>;
type Lists = Readonly<Record<'status' | 'severity' | 'title' | 'label' | 'classification', readonly string[]>>;
export type SelectionOptions = Partial<Texts & Lists & { readonly apono: boolean }>;

export function defineSelection(command: Command): Command {
  return command
    .option('--since <time>', `created then or later: ${timeForms}`)
    .option('--until <time>', 'created earlier than that')
    .option('--status <list>', `comma-separated: ${statuses.join(', ')}`, oneOrMoreOf(statuses))
    .option('--severity <list>', `comma-separated: ${severities.join(', ')}`, oneOrMoreOf(severities))
    .option('--title <text>', 'the title holds this; can be given several times', collected)
    .option('--label <name>', 'has this label; can be given several times', collected)
    .option('--classification <list>', `comma-separated: ${classifications.join(', ')}`, oneOrMoreOf(classifications))
    .option('--filter <odata>', 'any OData $filter of the API, e.g. "properties/owner/email eq \'jo@example.com\'"')
    .option('--apono', "only those of analytics rules that read Apono's tables or functions");
}

/** Takes the words in any case, and gives them in the case that Azure needs. */
export function oneOrMoreOf<T extends string>(allowed: readonly T[]) {
  return (text: string, former: readonly T[] = []): readonly T[] => {
    const words = text.split(',').map((word) => word.trim().toLowerCase());
    const found = words.map((word) => allowed.find((one) => one.toLowerCase() === word));
    if (found.includes(undefined)) throw new InvalidArgumentError(`Known are: ${allowed.join(', ')}.`);
    return [...new Set([...former, ...found.filter((one) => one !== undefined)])];
  };
}

function collected(text: string, former: readonly string[] = []): readonly string[] {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return [...former, text];
}

/** What Azure narrows the list to, as OData; null: to nothing. */
export function readSelection(options: SelectionOptions, nowMs: number): string | null {
  const { since, until, status, severity, title, filter } = options;
  const from = since === undefined ? undefined : parseMoment(since, nowMs);
  const to = until === undefined ? undefined : parseMoment(until, nowMs);
  if (from === null) throw wrongUsage(`--since is no time, expected ${timeForms}`);
  if (to === null) throw wrongUsage(`--until is no time, expected ${timeForms}`);
  if (from !== undefined && to !== undefined && from >= to) throw wrongUsage('--until must be later than --since');
  const problem = filter === undefined ? null : filterProblem(filter);
  if (problem !== null) throw wrongUsage(`--filter ${problem}`);
  return incidentFilter({ since: from, until: to, statuses: status, severities: severity, titles: title, filter });
}

export type Wanted = (incident: Incident) => boolean;

/** Whether incidents are passed over here that Azure has given. */
export function isNarrowedHere({ apono, classification, label }: SelectionOptions): boolean {
  return apono === true || classification !== undefined || label !== undefined;
}

/**
 * What `--apono`, `--label` and `--classification` let through. They are not asked of Azure, whose filter cannot express
 * the first and answers wrongly for the others. Rejects when no rule of the workspace is ours.
 */
export async function wantedBy(incidents: Incidents, options: SelectionOptions): Promise<Wanted> {
  const { apono, classification, label } = options;
  const named: Wanted = (incident) =>
    (label === undefined || hasLabel(incident, label)) &&
    (classification === undefined || classification.includes(textAt(incident.resource, 'classification') ?? ''));
  if (apono !== true) return named;
  const rules = await incidents.alertRules();
  const names = aponoRuleNames(rules);
  if (names.size > 0) return (incident) => isMadeBy(incident, names) && named(incident);
  throw failed(
    `no_apono_rules: None of the ${rules.length} analytics rules of this workspace reads Apono's tables or functions.\n` +
      'Fix: Deploy the rules, or leave --apono out and select by --title or --label.',
  );
}
