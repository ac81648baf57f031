import type { Logger } from '../telemetry/logger.ts';
import type { RequestRecord } from './exchange.ts';
import type { AcceptedEvent } from './receiver.ts';

/** Of one body; a body of MAX_BODY_BYTES can hold tens of thousands, and a log line cannot. */
const maxLoggedEvents = 100;

/**
 * One line a webhook. Not pino-http: it logs requests and responses with their headers unless each is taken out again,
 * and here a field is logged because it was chosen. Never headers, bodies, feeds or the text of an answer, which may
 * quote the body. An address is logged of callers without the secret only: whoever looks for a wrong TRUST_PROXY or an
 * attacker needs it, and the others are Apono.
 */
export function logRequest(log: Logger, record: RequestRecord): void {
  const { route, status, events } = record;
  const first = events[0];
  const fields = {
    request_id: record.requestId,
    ...(record.trace !== null && { trace_id: record.trace.traceId, span_id: record.trace.spanId }),
    method: record.method,
    route,
    status,
    duration_ms: Math.round(record.durationMs * 10) / 10,
    ...(record.code !== null && { code: record.code }),
    ...(record.authentication === 'previous' && { secret: 'previous' }),
    ...(record.clientAddress !== null && { client_address: record.clientAddress }),
    ...(record.bodyBytes !== null && { body_bytes: record.bodyBytes }),
    ...(record.quarantined && { quarantined: true }),
    ...(record.feedIgnored && { feed_ignored: true }),
    ...(first !== undefined && {
      event_id: first.eventId,
      kind: first.kind,
      rows: events.reduce((sum, event) => sum + event.rows, 0),
      duplicate: events.every((event) => event.duplicate),
    }),
    ...(record.batch && { event_count: events.length, events: events.slice(0, maxLoggedEvents).map(eventFields) }),
  };
  log[levelOf(record)](fields, route === 'webhook' ? 'webhook' : 'request');
}

function eventFields({ eventId, kind, rows, duplicate }: AcceptedEvent): Record<string, unknown> {
  return { event_id: eventId, kind, rows, duplicate };
}

/** Probes and scanners are no news; a 429 is one of many that were logged as 401 before. */
function levelOf({ route, status }: RequestRecord): 'debug' | 'info' | 'warn' | 'error' {
  if (status === 500) return 'error';
  // Somebody at the operator's door.
  if ((route === 'admin' || route === 'metrics') && (status === 401 || status === 403)) return 'warn';
  if (route !== 'webhook' || status === 405 || status === 429) return 'debug';
  return status === 200 ? 'info' : 'warn';
}
