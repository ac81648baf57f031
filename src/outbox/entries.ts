import type { EventEntry, OutboxEntry, QuarantineEntry } from './port.ts';

/** Throws when an entry could not be stored as it is: a defect of the caller's. */
function checkEvent(entry: EventEntry): void {
  const { eventId, rowCount, mappedBytes, meta } = entry;
  if (eventId === '') throw new RangeError('An event needs an eventId');
  if (!Number.isSafeInteger(rowCount) || rowCount < 1) {
    throw new RangeError(`rowCount of event ${eventId} must be a whole number of at least 1, got ${rowCount}`);
  }
  if (!Number.isSafeInteger(mappedBytes) || mappedBytes < 0) {
    throw new RangeError(`mappedBytes of event ${eventId} must be a whole number of at least 0, got ${mappedBytes}`);
  }
  checkTime(meta.receivedAt, eventId);
}

function checkTime(receivedAt: number, id: string): void {
  if (!Number.isSafeInteger(receivedAt)) {
    throw new RangeError(`receivedAt of ${id} must be whole milliseconds since the epoch, got ${receivedAt}`);
  }
}

function copyEvent(entry: EventEntry): EventEntry {
  checkEvent(entry);
  const { type, eventId, kind, body, rowCount, mappedBytes } = entry;
  const { receivedAt, bodyForm, feed } = entry.meta;
  return { type, eventId, kind, body, rowCount, mappedBytes, meta: { receivedAt, bodyForm, feed } };
}

function copyQuarantined(entry: QuarantineEntry): QuarantineEntry {
  const { type, quarantineId, receivedAt, feed, kind, charset = null, code, reason } = entry;
  if (quarantineId === '') throw new RangeError('A quarantined body needs a quarantineId');
  checkTime(receivedAt, quarantineId);
  // A copy, since a Buffer is often a slice of a larger pool, and posting it would carry the pool along.
  return { type, quarantineId, receivedAt, feed, kind, charset, code, reason, body: new Uint8Array(entry.body) };
}

/** Checked copies that hold nothing but what is stored, fit to be posted to the worker. Throws a RangeError. */
export function copyEntries(entries: readonly OutboxEntry[]): OutboxEntry[] {
  return entries.map((entry) => (entry.type === 'event' ? copyEvent(entry) : copyQuarantined(entry)));
}

/** Size of the bodies, in bytes. */
export function bodyBytes(entries: readonly OutboxEntry[]): number {
  return entries.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0);
}
