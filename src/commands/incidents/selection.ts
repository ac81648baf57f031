import type { Incidents } from '../../azure/incidents.ts';
import {
  aponoRuleNames,
  filterProblem,
  hasClassification,
  hasLabel,
  incidentFilter,
  isMadeBy,
  parseMoment,
  timeForms,
} from '../../sentinel/incidents/filter.ts';
import type { Incident } from '../../sentinel/incidents/incident.ts';
import type { CommandContext } from '../context.ts';

export interface SelectionOptions {
  readonly since?: string;
  readonly until?: string;
  readonly status?: readonly string[];
  readonly severity?: readonly string[];
  readonly title?: readonly string[];
  readonly label?: readonly string[];
  readonly classification?: readonly string[];
  readonly filter?: string;
  readonly apono?: boolean;
}

/** What Azure narrows the list to, as OData (null: to nothing); or what is wrong with the options. */
export function readSelection(
  options: SelectionOptions,
  nowMs: number,
): { readonly problem: string | null; readonly filter: string | null } {
  const { since, until, status, severity, title, filter } = options;
  const from = since === undefined ? undefined : parseMoment(since, nowMs);
  const to = until === undefined ? undefined : parseMoment(until, nowMs);
  const wrong = (problem: string) => ({ problem, filter: null });
  if (from === null) return wrong(`--since is no time, expected ${timeForms}`);
  if (to === null) return wrong(`--until is no time, expected ${timeForms}`);
  if (from !== undefined && to !== undefined && from >= to) return wrong('--until must be later than --since');
  const problem = filter === undefined ? null : filterProblem(filter);
  if (problem !== null) return wrong(`--filter ${problem}`);
  const selection = { since: from, until: to, statuses: status, severities: severity, titles: title, filter };
  return { problem: null, filter: incidentFilter(selection) };
}

/** What makes an incremental export the same one again. Times count as they were written: `7d` moves along. */
export function selectionParts(options: SelectionOptions) {
  const { since, until, status, severity, title, label, filter, apono, classification } = options;
  return { since, until, status, severity, title, label, filter, apono, classification };
}

export type Wanted = (incident: Incident) => boolean;
type WantedOptions = Pick<SelectionOptions, 'apono' | 'classification' | 'label'>;

/** Whether incidents are passed over here that Azure has given. */
export function isNarrowedHere({ apono, classification, label }: WantedOptions): boolean {
  return apono === true || classification !== undefined || label !== undefined;
}

/**
 * What `--apono`, `--label` and `--classification` let through. They are not asked of Azure, whose filter cannot express
 * the first and answers wrongly for the others. Null: no rule of the workspace is ours; stderr says so.
 */
export async function wantedBy(
  { stderr }: CommandContext,
  incidents: Incidents,
  { apono, classification, label }: WantedOptions,
): Promise<Wanted | null> {
  const named: Wanted = (incident) =>
    (label === undefined || hasLabel(incident, label)) &&
    (classification === undefined || hasClassification(incident, classification));
  if (apono !== true) return named;
  const rules = await incidents.alertRules();
  const names = aponoRuleNames(rules);
  if (names.size > 0) return (incident) => isMadeBy(incident, names) && named(incident);
  stderr.write(
    `no_apono_rules: None of the ${rules.length} analytics rules of this workspace reads Apono's tables or functions.\n` +
      'Fix: Deploy the rules, or leave --apono out and select by --title or --label.\n',
  );
  return null;
}
