import type { TokenEvent } from '../azure/token-cache.ts';
import type { DeliveryEvent, UploadEvent } from '../delivery/event.ts';
import type { Clock } from '../ground/clock.ts';
import type { RequestRecord } from '../http/exchange.ts';
import type { Instruments } from './instruments.ts';
import { uploadCodes } from './table-delivery.ts';
import { knownMethods } from './table-webhooks.ts';

/** Counts one request, and the events that it brought. */
export function countRequest(metrics: Instruments, clock: Clock, record: RequestRecord): void {
  const { route, status, code, authentication } = record;
  const method = (knownMethods as readonly string[]).includes(record.method) ? record.method : 'other';
  metrics.httpRequests.inc({ route, method, code: status === null ? 'none' : String(status) });
  metrics.httpRequestDuration.observe({ route }, record.durationMs / 1000);
  if (code !== null) metrics.httpProblems.inc({ code });
  if (route !== 'webhook' || authentication === null) return;
  if (authentication !== 'current' && authentication !== 'previous') {
    // The body of a caller without the secret is not Apono's, so it is no event.
    metrics.authentications.inc({ result: authentication, secret: 'none' });
    return;
  }
  metrics.authentications.inc({ result: 'accepted', secret: authentication });
  if (authentication === 'previous') metrics.previousSecretLastUsed.set(clock.now() / 1000);
  countEvents(metrics, clock, record);
}

function countEvents(metrics: Instruments, clock: Clock, record: RequestRecord): void {
  for (const { kind, action, rows, hasInvalidFields, duplicate } of record.events) {
    metrics.events.inc({ kind, action, outcome: duplicate ? 'duplicate' : 'accepted' });
    metrics.lastAccepted.set({ kind }, clock.now() / 1000);
    if (duplicate) continue;
    metrics.acceptedRows.inc({ kind }, rows);
    if (hasInvalidFields) metrics.eventsWithInvalidFields.inc({ kind });
  }
  if (record.events.length > 0) return;
  metrics.events.inc({ kind: 'none', action: 'none', outcome: record.quarantined ? 'quarantined' : 'rejected' });
}

/** Counts what delivery reports. Holds are a state, so each scrape reads them from delivery instead (scrape.ts). */
export function countDelivery(metrics: Instruments, clock: Clock, event: DeliveryEvent): void {
  switch (event.type) {
    case 'uploaded':
      countUpload(metrics, event);
      break;
    case 'delivered': {
      const { stream, receivedAt, rows } = event;
      const now = clock.now();
      metrics.deliveredRows.inc({ stream }, rows);
      // The clock may have been set back since the event was received.
      metrics.deliveryLatency.observe({ stream }, Math.max(0, now - receivedAt) / 1000);
      metrics.lastDelivery.set({ stream }, now / 1000);
      break;
    }
    case 'retry_scheduled':
      metrics.retries.inc({ stream: event.stream });
      break;
    case 'held':
    case 'still_held':
    case 'hold_ended':
      break;
    case 'buried':
      metrics.deadRows.inc({ stream: event.stream, code: event.code }, event.rows);
      break;
    case 'outbox_failed':
      metrics.outboxFailures.inc({ operation: event.operation });
      break;
    case 'defect':
      metrics.deliveryDefects.inc({ stream: event.stream });
      break;
    default:
      event satisfies never;
  }
}

function countUpload(metrics: Instruments, event: UploadEvent): void {
  const { stream, outcome, rows, bytes, durationMs } = event;
  metrics.uploads.inc({ stream, outcome, code: uploadCode(event) });
  metrics.uploadDuration.observe({ stream, outcome }, durationMs / 1000);
  if (rows === 0) return;
  metrics.uploadRows.observe({ stream }, rows);
  metrics.uploadBytes.observe({ stream }, bytes);
}

/** The status where the table names it, otherwise its class; or how the call failed without a status. */
function uploadCode({ outcome, result }: UploadEvent): string {
  if (result.type === 'unanswered') return result.reason;
  if (result.type === 'no_token') return 'no_token';
  const status = String(result.status);
  const named: readonly string[] = uploadCodes[outcome];
  return named.includes(status) ? status : `${status[0]}xx`;
}

/** Counts one try to get a token. */
export function countToken(metrics: Instruments, event: TokenEvent): void {
  const trigger = event.background ? 'background' : 'call';
  if (event.type === 'failed') {
    const result = event.error.code === 'token_refused' ? 'refused' : 'unreachable';
    metrics.tokenRefreshes.inc({ result, trigger });
    return;
  }
  metrics.tokenRefreshes.inc({ result: 'obtained', trigger });
  metrics.tokenExpiry.set(event.expiresAt / 1000);
}
