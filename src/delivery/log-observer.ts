import type { Logger } from '../ground/log.ts';
import type { UploadResult } from './ingestion.ts';
import type { DeliveryObserver, Hold, UploadEvent } from './observer.ts';

/** Writes delivery's doings to the log: ids, counts and codes, nothing that stands in a row. */
export function logObserver(log: Logger): DeliveryObserver {
  return {
    uploaded(event) {
      // While a stream is on hold the minute's line says what there is to say.
      const level = event.outcome === 'delivered' ? 'info' : event.duringHold ? 'debug' : 'warn';
      log[level](uploadFields(event), 'upload');
    },
    // The line of the call says it.
    delivered: () => {},
    retryScheduled: ({ stream, failures, delayMs }) =>
      log.warn({ stream, failures, delay_ms: Math.round(delayMs) }, 'delivery will be tried again'),
    held: (hold) => log.error(holdFields(hold), 'delivery on hold'),
    stillHeld: (hold) => log.error(holdFields(hold), 'delivery still on hold'),
    holdEnded: (hold) => log.info({ kind: hold.kind, stream: hold.stream }, 'delivery resumed'),
    buried: ({ eventId, stream, rows, code }) =>
      log.error({ event_id: eventId, stream, rows, code }, 'rows became dead letters'),
    outboxFailed: ({ stream, operation, message }) => log.error({ stream, operation, error: message }, 'outbox failed'),
    defect: ({ stream, message }) => log.error({ stream, error: message }, 'defect in delivery'),
  };
}

function uploadFields(event: UploadEvent) {
  return {
    stream: event.stream,
    rows: event.rows,
    bytes: event.bytes,
    outcome: event.outcome,
    duration_ms: Math.round(event.durationMs),
    ...resultFields(event.result),
  };
}

/** The messages of Azure and Entra are left out: they may quote a row. What is logged of them names hosts and codes. */
function resultFields(result: UploadResult) {
  switch (result.type) {
    case 'answered':
      return {
        status: result.status,
        by: result.by,
        azure_code: result.code,
        client_request_id: result.clientRequestId,
      };
    case 'unanswered':
      return { failure: result.reason, error: result.message, client_request_id: result.clientRequestId };
    case 'no_token':
      return { failure: 'no_token', error: result.reason, aadsts: result.aadsts };
  }
}

function holdFields(hold: Hold) {
  return {
    kind: hold.kind,
    stream: hold.stream,
    since: new Date(hold.since).toISOString(),
    code: hold.code,
    reason: hold.reason,
    fix: hold.fix,
    client_request_id: hold.clientRequestId,
  };
}
