import { quarantineId } from '../apono/event.ts';
import type { EventEntry } from '../ground/event.ts';
import {
  type ReceivedBody,
  type Refusal,
  type UnderstandOptions,
  type Understood,
  understand,
} from '../intake/understand.ts';
import type { Received } from './port.ts';
import type { OutboxRecords, ReadAgain } from './records.ts';
import type { Store } from './store.ts';

export interface Receiver {
  /** `receivedAt`: when the body came, milliseconds since the epoch. */
  receive(body: ReceivedBody, receivedAt: number): Promise<Received>;
  readonly readAgain: OutboxRecords['readAgain'];
}

/** The way of a body into the store: understand, then put what it says, or the whole body into quarantine. */
export function createReceiver(store: Pick<Store, 'put' | 'show'>, options: UnderstandOptions): Receiver {
  async function receive(body: ReceivedBody, receivedAt: number): Promise<Received> {
    if (body.refusal !== undefined) {
      return quarantine(body, receivedAt, { type: 'not_json', ...body.refusal, errors: [] }, store);
    }
    const understood = await understand(body, receivedAt, options);
    if ('refusal' in understood) return quarantine(body, receivedAt, understood.refusal, store);
    return accept(understood, receivedAt, store);
  }

  async function readAgain(id: string, dryRun: boolean): Promise<ReadAgain> {
    const record = await store.show(id);
    if (record === null || record.type !== 'quarantine') return { outcome: 'nothing_to_replay' };
    const { body, receivedAt, feed, kind, charset } = record;
    const understood = await understand({ bytes: body, feed, kind, charset }, receivedAt, options);
    if ('refusal' in understood) {
      const { code, detail } = understood.refusal;
      return { outcome: 'still_refused', code, detail };
    }
    const entries = understood.events.map(({ entry }) => entry);
    if (dryRun) return { outcome: 'accepted', events: await wouldStore(entries, store) };
    const put = await store.put(entries, { resolves: id });
    if (put.outcome !== 'stored') return { outcome: 'unavailable' };
    if (put.entries.length === 0) return { outcome: 'nothing_to_replay' };
    return {
      outcome: 'accepted',
      events: entries.map((entry, index) => readEvent(entry, put.entries[index]?.duplicate ?? false)),
    };
  }

  return { receive, readAgain };
}

async function accept(
  { events, looksEscaped }: Extract<Understood, { events: unknown }>,
  receivedAt: number,
  store: Pick<Store, 'put'>,
): Promise<Received> {
  const put = await store.put(events.map(({ entry }) => entry));
  if (put.outcome !== 'stored') return { outcome: put.outcome };
  return {
    outcome: 'accepted',
    events: events.map(({ entry, action, hasInvalidFields }, index) => ({
      eventId: entry.eventId,
      kind: entry.kind,
      action,
      rows: entry.rows.own.length,
      hasInvalidFields,
      duplicate: put.entries[index]?.duplicate ?? false,
      firstStoredAt: put.entries[index]?.firstStoredAt ?? receivedAt,
    })),
    batch: events.length > 1,
    looksEscaped: looksEscaped === true,
  };
}

async function quarantine(
  body: ReceivedBody,
  receivedAt: number,
  refusal: Omit<Refusal, 'code'> & { readonly code: string },
  store: Pick<Store, 'put'>,
): Promise<Received> {
  const { code, detail, errors } = refusal;
  const reason = errors.map(({ path, message }) => `${path || 'body'} ${message}`).join('; ') || detail;
  const { bytes, feed, kind, charset = null } = body;
  const id = quarantineId(bytes, kind, charset);
  const put = await store.put([
    { type: 'quarantine', quarantineId: id, body: bytes, receivedAt, feed, kind, charset, code, reason },
  ]);
  if (put.outcome !== 'stored') return { outcome: put.outcome };
  return refusal.type === 'not_json'
    ? { outcome: 'not_json', code, detail }
    : { outcome: 'not_understood', code, detail, errors };
}

/** What can be known without storing: an event that was delivered already is only found out by the real put. */
async function wouldStore(entries: readonly EventEntry[], store: Pick<Store, 'show'>) {
  const seen = new Set<string>();
  const events = [];
  for (const entry of entries) {
    const duplicate = seen.has(entry.eventId) || (await store.show(entry.eventId)) !== null;
    seen.add(entry.eventId);
    events.push(readEvent(entry, duplicate));
  }
  return events;
}

function readEvent({ eventId, kind, rows }: EventEntry, duplicate: boolean) {
  return { eventId, kind, rows: duplicate ? 0 : rows.own.length, duplicate };
}
