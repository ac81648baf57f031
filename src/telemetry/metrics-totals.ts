import type { Instruments } from './metrics-instruments.ts';

/** What this process has done since it started. */
export interface Totals {
  /** Events, duplicates left out. */
  readonly accepted: number;
  /** Events. */
  readonly duplicate: number;
  /** Webhooks answered 401 or 429. */
  readonly unauthorized: number;
  /** Rows of events that Azure took. */
  readonly delivered: number;
}

/** Sums of what the metrics count, so that whoever else tells these numbers cannot tell others than /metrics does. */
export async function readTotals(metrics: Instruments): Promise<Totals> {
  const [events, requests, rows] = await Promise.all([
    metrics.events.get(),
    metrics.httpRequests.get(),
    metrics.deliveredRows.get(),
  ]);
  return {
    accepted: sum(events.values.filter(({ labels }) => labels.outcome === 'accepted')),
    duplicate: sum(events.values.filter(({ labels }) => labels.outcome === 'duplicate')),
    unauthorized: sum(
      requests.values.filter(({ labels }) => labels.route === 'webhook' && ['401', '429'].includes(`${labels.code}`)),
    ),
    delivered: sum(rows.values),
  };
}

function sum(values: readonly { readonly value: number }[]): number {
  return values.reduce((total, { value }) => total + value, 0);
}
