import { filterProblem, type IncidentSelection, parseMoment, timeForms } from '../../sentinel/incidents/filter.ts';

/** The options that narrow a list, as they were given. */
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

export type Selected =
  | { readonly type: 'selected'; readonly selection: IncidentSelection }
  | { readonly type: 'wrong'; readonly message: string };

export function readSelection(options: SelectionOptions, nowMs: number): Selected {
  const { since, until, status, severity, title, filter } = options;
  const from = since === undefined ? undefined : parseMoment(since, nowMs);
  const to = until === undefined ? undefined : parseMoment(until, nowMs);
  if (from === null) return wrong(`--since is no time, expected ${timeForms}`);
  if (to === null) return wrong(`--until is no time, expected ${timeForms}`);
  if (from !== undefined && to !== undefined && from >= to) return wrong('--until must be later than --since');
  const problem = filter === undefined ? null : filterProblem(filter);
  if (problem !== null) return wrong(`--filter ${problem}`);
  const selection: IncidentSelection = {
    ...(from !== undefined && { since: from }),
    ...(to !== undefined && { until: to }),
    ...(status !== undefined && { statuses: status }),
    ...(severity !== undefined && { severities: severity }),
    ...(title !== undefined && { titles: title }),
    ...(filter !== undefined && { filter }),
  };
  return { type: 'selected', selection };
}

/** What makes an incremental export the same one again. Times count as they were written: `7d` moves along. */
export function selectionParts(options: SelectionOptions) {
  const { since, until, status, severity, title, label, filter, apono, classification } = options;
  return { since, until, status, severity, title, label, filter, apono, classification };
}

function wrong(message: string): Selected {
  return { type: 'wrong', message };
}
