import { quarantineId } from '../apono/identity.ts';
import type { Clock } from '../ground/clock.ts';
import type { ReceivedBody, Refusal, Understand, UnderstoodEvent } from '../intake/understand.ts';
import type { Problem } from '../kinds/kind.ts';
import type { Outbox, StoredEntry } from './port.ts';

export interface AcceptedEvent {
  readonly eventId: string;
  readonly kind: string;
  /** What happened, one of a few fixed words whatever Apono's spelling (apono/event-action.ts). */
  readonly action: string;
  readonly rows: number;
  /** Whether any of its fields could not be read. */
  readonly hasInvalidFields: boolean;
  readonly duplicate: boolean;
  /** Milliseconds since the epoch. */
  readonly firstStoredAt: number;
}

/** What the way from body to outbox made of one authentic body; the route has one exhaustive switch over it. */
export type Received =
  /** 200. Committed and synced. `batch`: the body was an array of several. */
  | {
      readonly outcome: 'accepted';
      readonly events: readonly AcceptedEvent[];
      readonly batch: boolean;
      /** The text of the body looks as if a template had escaped it, and was stored as it came. */
      readonly looksEscaped?: boolean;
    }
  /** 400, kept in quarantine. */
  | { readonly outcome: 'not_json'; readonly code: string; readonly detail: string }
  /** 422, kept in quarantine. */
  | {
      readonly outcome: 'not_understood';
      readonly code: string;
      readonly detail: string;
      readonly errors: readonly Problem[];
    }
  /** 503 with Retry-After: OUTBOX_MAX_BYTES or the disk is reached. Nothing was stored. */
  | { readonly outcome: 'full' }
  /** 503 with Retry-After: the outbox cannot commit now. Nothing was stored. */
  | { readonly outcome: 'unavailable' };

/**
 * From the bytes of a body to the outbox. Called only for a caller with the secret. Resolves when what it says is
 * durable; rejects only on a defect, which is answered 500.
 */
export type Receive = (body: ReceivedBody) => Promise<Received>;

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
