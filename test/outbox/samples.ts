import type { EventEntry, QuarantineEntry, RowRange } from '../../src/ground/event.ts';
import { joinRow } from '../../src/ground/event.ts';
import type { Settlement } from '../../src/outbox/port.ts';

export interface SampleOptions {
  readonly kind?: string;
  readonly receivedAt?: number;
  readonly feed?: string | null;
  readonly rowCount?: number;
  /** Of each row as it is sent; at least about 150. */
  readonly rowBytes?: number;
  /** A text in the shared columns. */
  readonly note?: string;
  /** In the column event_action, which not every table has. */
  readonly action?: string;
}

export const RECEIVED_AT = Date.UTC(2026, 0, 2);

/** An event as intake would put it. */
export function event(eventId: string, options: SampleOptions = {}): EventEntry {
  const { kind = 'request', receivedAt = RECEIVED_AT, feed = null, rowCount = 1, rowBytes = 0, note = 'n' } = options;
  const received = new Date(receivedAt).toISOString();
  const shared = JSON.stringify({ event_id: eventId, event_action: options.action, received_at: received, note });
  const own = Array.from({ length: rowCount }, (_, n) => {
    const row = { row_id: `${eventId}-${n}`, filler: '' };
    const bytes = Buffer.byteLength(joinRow(shared, JSON.stringify(row)));
    return JSON.stringify({ ...row, filler: 'x'.repeat(Math.max(0, rowBytes - bytes)) });
  });
  const mappedBytes = own.reduce((sum, text) => sum + Buffer.byteLength(joinRow(shared, text)), 0);
  return { type: 'event', eventId, kind, receivedAt, feed, shared, own: own.join('\n'), rowCount, mappedBytes };
}

export function receivedAt(eventId: string, ms: number, options: SampleOptions = {}): EventEntry {
  return event(eventId, { ...options, receivedAt: ms });
}

/** The rows of an event as they are sent. */
export function rowsOf({ shared, own }: EventEntry): string[] {
  return own.split('\n').map((text) => joinRow(shared, text));
}

/** Of what is stored of the event. */
export function storedBytes({ shared, own }: EventEntry): number {
  return Buffer.byteLength(shared) + Buffer.byteLength(own);
}

export function quarantined(quarantineId: string, over: Partial<QuarantineEntry> = {}): QuarantineEntry {
  return {
    type: 'quarantine',
    quarantineId,
    body: new TextEncoder().encode(`not JSON: ${quarantineId}`),
    receivedAt: RECEIVED_AT,
    feed: null,
    kind: null,
    charset: null,
    code: 'body_not_json',
    reason: 'Unexpected token',
    ...over,
  };
}

/** A claim, as far as a settlement needs it. */
export interface Held {
  readonly eventId: string;
  readonly token: number;
  readonly ranges: readonly RowRange[];
}

/** Everything that the claim holds was delivered. */
export function delivered(claimed: Held): Settlement {
  return settlement(claimed, { delivered: claimed.ranges });
}

/** A claim that ends without anything having become of its rows, unless `over` says so. */
export function settlement(claimed: Pick<Held, 'eventId' | 'token'>, over: Partial<Settlement> = {}): Settlement {
  return { eventId: claimed.eventId, token: claimed.token, delivered: [], dead: [], release: true, ...over };
}
