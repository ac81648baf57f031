import type { OutboxEntry, PutOutcome } from './port.ts';

/** One transaction of puts, for the metrics. */
export interface Commit {
  /** From its begin to the end of its sync, milliseconds. */
  readonly durationMs: number;
  /** Calls that shared it, ... */
  readonly puts: number;
  /** ... and their entries, duplicates and quarantined bodies included. */
  readonly events: number;
  /** `full`: there was no room for any of them. `failed`: it could not be committed, and nothing of it was stored. */
  readonly outcome: 'committed' | 'full' | 'failed';
}

export function describeCommit(
  group: readonly { readonly entries: readonly OutboxEntry[] }[],
  results: readonly (PutOutcome | Error)[],
  durationMs: number,
): Commit {
  const outcomes = new Set(results.map((result) => (result instanceof Error ? 'stored' : result.outcome)));
  const outcome = outcomes.has('stored') ? 'committed' : outcomes.has('full') ? 'full' : 'failed';
  return {
    durationMs,
    puts: group.length,
    events: group.reduce((sum, { entries }) => sum + entries.length, 0),
    outcome,
  };
}
