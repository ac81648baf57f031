import type { Clock } from '../ground/clock.ts';
import type { Authentication } from '../http/authenticate.ts';
import type { RequestRecord } from '../http/exchange.ts';
import type { Instruments } from './instruments.ts';
import { knownMethods } from './table-webhooks.ts';

/** Counts one request, and the events that it brought. */
export function countRequest(metrics: Instruments, clock: Clock, record: RequestRecord): void {
  const { route, status, code } = record;
  const method = (knownMethods as readonly string[]).includes(record.method) ? record.method : 'other';
  metrics.httpRequests.inc({ route, method, code: status === null ? 'none' : String(status) });
  metrics.httpRequestDuration.observe({ route }, record.durationMs / 1000);
  if (code !== null) metrics.httpProblems.inc({ code });
  if (route !== 'webhook') return;
  if (record.authentication !== null) countAuthentication(metrics, clock, record.authentication);
  if (isAuthentic(record)) countEvents(metrics, clock, record);
}

function countAuthentication(metrics: Instruments, clock: Clock, authentication: Authentication): void {
  const isAccepted = authentication === 'current' || authentication === 'previous';
  metrics.authentications.inc(
    isAccepted ? { result: 'accepted', secret: authentication } : { result: authentication, secret: 'none' },
  );
  if (authentication === 'previous') metrics.previousSecretLastUsed.set(clock.now() / 1000);
}

/** Whether the caller had the secret, so that what came is Apono's: the others' bodies are no events. */
function isAuthentic({ authentication }: RequestRecord): boolean {
  return authentication === 'current' || authentication === 'previous';
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
