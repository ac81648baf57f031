import type { ClaimedEvent, EventEntry, QuarantineEntry, Settlement } from '../../src/outbox/port.ts';

/** An event as the edge would put it. 100 bytes a row unless told otherwise. */
export function event(eventId: string, over: Partial<EventEntry> = {}): EventEntry {
  const rowCount = over.rowCount ?? 1;
  return {
    type: 'event',
    eventId,
    kind: 'request',
    body: JSON.stringify({ event_type: 'AccessRequested', note: `body of ${eventId}` }),
    meta: { receivedAt: Date.UTC(2026, 0, 2), bodyForm: 'json', feed: null },
    rowCount,
    mappedBytes: 100 * rowCount,
    ...over,
  };
}

export function receivedAt(eventId: string, ms: number, over: Partial<EventEntry> = {}): EventEntry {
  return event(eventId, { ...over, meta: { receivedAt: ms, bodyForm: 'json', feed: null } });
}

export function quarantined(quarantineId: string, over: Partial<QuarantineEntry> = {}): QuarantineEntry {
  return {
    type: 'quarantine',
    quarantineId,
    body: new TextEncoder().encode(`not JSON: ${quarantineId}`),
    receivedAt: Date.UTC(2026, 0, 2),
    feed: null,
    kind: null,
    code: 'body_not_json',
    reason: 'Unexpected token',
    ...over,
  };
}

/** Everything that the claim holds was delivered. */
export function delivered(claimed: ClaimedEvent): Settlement {
  return settlement(claimed, { delivered: claimed.pending });
}

/** A claim that ends without anything having become of its rows, unless `over` says so. */
export function settlement(claimed: ClaimedEvent, over: Partial<Settlement> = {}): Settlement {
  return { eventId: claimed.eventId, token: claimed.token, delivered: [], dead: [], release: true, ...over };
}
