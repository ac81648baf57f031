import type { Totals } from '../heartbeat/row.ts';
import type { Instruments } from './instruments.ts';

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
