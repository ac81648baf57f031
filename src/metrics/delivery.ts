import type { DeliveryObserver, UploadEvent } from '../delivery/observer.ts';
import type { Clock } from '../ground/clock.ts';
import type { Instruments } from './instruments.ts';
import { uploadCodes } from './table-delivery.ts';

/** Counts delivery's doings. Holds are read at each scrape instead (metrics-scrape.ts): they are a state. */
export function deliveryCounter(metrics: Instruments, clock: Clock): DeliveryObserver {
  return {
    uploaded(event) {
      const { stream, outcome, rows, bytes, durationMs } = event;
      metrics.uploads.inc({ stream, outcome, code: uploadCode(event) });
      metrics.uploadDuration.observe({ stream, outcome }, durationMs / 1000);
      if (rows === 0) return;
      metrics.uploadRows.observe({ stream }, rows);
      metrics.uploadBytes.observe({ stream }, bytes);
    },
    delivered({ stream, receivedAt, rows }) {
      const now = clock.now();
      metrics.deliveredRows.inc({ stream }, rows);
      // The clock may have been set back meanwhile.
      metrics.deliveryLatency.observe({ stream }, Math.max(0, now - receivedAt) / 1000);
      metrics.lastDelivery.set({ stream }, now / 1000);
    },
    retryScheduled: ({ stream }) => metrics.retries.inc({ stream }),
    held: () => {},
    stillHeld: () => {},
    holdEnded: () => {},
    buried: ({ stream, rows, code }) => metrics.deadRows.inc({ stream, code }, rows),
    outboxFailed: ({ operation }) => metrics.outboxFailures.inc({ operation }),
    defect: ({ stream }) => metrics.deliveryDefects.inc({ stream }),
  };
}

/** The status where it is one that the table names, else its class; or how the call failed. */
function uploadCode({ outcome, result }: Pick<UploadEvent, 'outcome' | 'result'>): string {
  if (result.type === 'unanswered') return result.reason;
  if (result.type === 'no_token') return 'no_token';
  const status = String(result.status);
  const named: readonly string[] = uploadCodes[outcome];
  return named.includes(status) ? status : `${status[0]}xx`;
}
