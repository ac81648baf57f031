import type { Logger } from '../ground/log.ts';
import type { AcceptedEvent } from '../outbox/port.ts';
import type { RequestRecord } from './exchange.ts';

/** A body of MAX_BODY_BYTES can hold tens of thousands of events, and a log line cannot. */
const maxLoggedEvents = 100;

/**
 * One line a webhook. Not pino-http: it logs requests and responses with their headers unless each is taken out again,
 * and here a field is logged because it was chosen. Never headers, bodies, feeds or the text of an answer, which may
 * quote the body. An address is logged only of callers without the secret: it is needed to find a wrong TRUST_PROXY or
 * an attacker, and the other callers are Apono.
 */
export function logRequest(log: Logger, record: RequestRecord): void {
  log[levelOf(record)](fieldsOf(record), record.route === 'webhook' ? 'webhook' : 'request');
}

/** pino leaves out what is `undefined`. */
function fieldsOf(record: RequestRecord): Record<string, unknown> {
  const { events } = record;
  const first = events[0];
  return {
    request_id: record.requestId,
    trace_id: record.trace?.traceId,
    span_id: record.trace?.spanId,
    method: record.method,
    route: record.route,
    status: record.status,
    duration_ms: Math.round(record.durationMs * 10) / 10,
    code: record.code ?? undefined,
    secret: record.authentication === 'previous' ? 'previous' : undefined,
    client_address: record.clientAddress ?? undefined,
    body_bytes: record.bodyBytes ?? undefined,
    quarantined: record.quarantined || undefined,
    feed_ignored: record.feedIgnored || undefined,
    event_id: first?.eventId,
    kind: first?.kind,
    rows: first && events.reduce((sum, event) => sum + event.rows, 0),
    duplicate: first && events.every((event) => event.duplicate),
    event_count: record.batch ? events.length : undefined,
    events: record.batch ? events.slice(0, maxLoggedEvents).map(eventFields) : undefined,
  };
}

/** One event in a log line or an answer. */
export function eventFields({ eventId, kind, rows, duplicate }: AcceptedEvent): Record<string, unknown> {
  return { event_id: eventId, kind, rows, duplicate };
}

function levelOf({ route, status }: RequestRecord): 'debug' | 'info' | 'warn' | 'error' {
  if (status === 500) return 'error';
  // Somebody who is not the operator tries the admin port.
  if ((route === 'admin' || route === 'metrics') && (status === 401 || status === 403)) return 'warn';
  // Probes and scanners are no news; before the first 429 of an address, a hundred 401 were logged.
  if (route !== 'webhook' || status === 405 || status === 429) return 'debug';
  return status === 200 ? 'info' : 'warn';
}
