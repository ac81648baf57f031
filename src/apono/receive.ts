import type { Clock } from '../clock.ts';
import type { AcceptedEvent, Receive, Received, ReceivedBody } from '../http/receiver.ts';
import type { Outbox, StoredEntry } from '../outbox/port.ts';
import { quarantineId } from './identity.ts';
import type { Refusal, Understand, UnderstoodEvent } from './understand.ts';

export interface ReceiverOptions {
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly understand: Understand;
  /** Tells delivery that there is something new. */
  readonly onStored: (event: UnderstoodEvent) => void;
}

/** The way of a body from the edge into the outbox: read → repair → kind → schema → identity → put. */
export function createReceiver(options: ReceiverOptions): Receive {
  return async (body) => {
    const receivedAt = options.clock.now();
    if (body.refusal !== undefined) {
      return quarantine(body, receivedAt, { type: 'not_json', ...body.refusal, errors: [] }, options.outbox);
    }
    const understood = await options.understand(body, receivedAt);
    if ('refusal' in understood) return quarantine(body, receivedAt, understood.refusal, options.outbox);
    const put = await options.outbox.put(understood.entries);
    if (put.outcome !== 'stored') return { outcome: put.outcome };
    for (const [index, entry] of understood.entries.entries()) {
      if (!put.entries[index]?.duplicate) options.onStored(entry);
    }
    const events = understood.entries.map((entry, index) => accepted(entry, put.entries[index], receivedAt));
    return { outcome: 'accepted', events, batch: events.length > 1, looksEscaped: understood.looksEscaped ?? false };
  };
}

async function quarantine(
  body: ReceivedBody,
  receivedAt: number,
  refusal: Omit<Refusal, 'code'> & { readonly code: string },
  outbox: Outbox,
): Promise<Received> {
  const { code, detail, errors } = refusal;
  const reason = errors.map(({ path, message }) => `${path || 'body'} ${message}`).join('; ') || detail;
  const { bytes, feed, kind, charset = null } = body;
  const id = quarantineId(bytes, kind, charset);
  const put = await outbox.put([
    { type: 'quarantine', quarantineId: id, body: bytes, receivedAt, feed, kind, charset, code, reason },
  ]);
  if (put.outcome !== 'stored') return { outcome: put.outcome };
  return refusal.type === 'not_json'
    ? { outcome: 'not_json', code, detail }
    : { outcome: 'not_understood', code, detail, errors };
}

function accepted(entry: UnderstoodEvent, stored: StoredEntry | undefined, receivedAt: number): AcceptedEvent {
  return {
    eventId: entry.eventId,
    kind: entry.kind,
    action: entry.action,
    rows: entry.rowCount,
    hasInvalidFields: entry.hasInvalidFields,
    duplicate: stored?.duplicate ?? false,
    firstStoredAt: stored?.firstStoredAt ?? receivedAt,
  };
}
