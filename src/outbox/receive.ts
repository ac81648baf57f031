import { quarantineId } from '../apono/event.ts';
import type { EventEntry } from '../ground/event.ts';
import { type ReceivedBody, type UnderstandOptions, understand } from '../intake/understand.ts';
import type { Received } from './port.ts';
import type { ReadAgain } from './records.ts';
import type { Store } from './store.ts';

export type Receiver = ReturnType<typeof createReceiver>;

/** The way of a body into the store: understand, then put what it says, or the whole body into quarantine. */
export function createReceiver(store: Store, options: UnderstandOptions) {
  return {
    /** `receivedAt`: when the body came, milliseconds since the epoch. */
    async receive(body: ReceivedBody, receivedAt: number): Promise<Received> {
      const understood = body.refusal ? { ...body.refusal, errors: [] } : await understand(body, receivedAt, options);
      if ('code' in understood) {
        const { bytes, feed, kind, charset = null } = body;
        const { code, detail, errors } = understood;
        const reason = errors.map(({ path, message }) => `${path || 'body'} ${message}`).join('; ') || detail;
        const quarantined = { quarantineId: quarantineId(bytes, kind, charset), body: bytes, feed, kind, charset };
        const kept = await store.put([{ type: 'quarantine', ...quarantined, receivedAt, code, reason }]);
        return kept.outcome === 'stored' ? { outcome: 'quarantined', code, detail, errors } : { outcome: kept.outcome };
      }
      const put = await store.put(understood.events.map(({ entry }) => entry));
      if (put.outcome !== 'stored') return { outcome: put.outcome };
      const events = understood.events.map(({ entry, action, hasInvalidFields }, index) => {
        const { duplicate = false, firstStoredAt = receivedAt } = put.entries[index] ?? {};
        const { eventId, kind, rowCount: rows } = entry;
        return { eventId, kind, action, rows, hasInvalidFields, duplicate, firstStoredAt };
      });
      return { outcome: 'accepted', events, looksEscaped: understood.looksEscaped };
    },

    /** See OutboxRecords. */
    async readAgain(id: string, dryRun: boolean): Promise<ReadAgain> {
      const record = await store.show(id);
      if (record === null || record.type !== 'quarantine') return { outcome: 'nothing_to_replay' };
      const { body, receivedAt, feed, kind, charset } = record;
      const readAs = (of: string | null) => understand({ bytes: body, feed, kind: of, charset }, receivedAt, options);
      const asItCame = await readAs(kind);
      // Nobody can mend the URL of a body that is here: a person who replays it has it read by its content.
      const isMisdirected = 'code' in asItCame && asItCame.code === 'kind_mismatch';
      const understood = isMisdirected ? await readAs(null) : asItCame;
      if ('code' in understood) return { outcome: 'still_refused', code: understood.code, detail: understood.detail };
      const entries = understood.events.map(({ entry }) => entry);
      const put = dryRun ? await wouldPut(entries, store) : await store.put(entries, { resolves: id });
      if (put.outcome !== 'stored') return { outcome: 'unavailable' };
      if (put.entries.length === 0) return { outcome: 'nothing_to_replay' };
      const events = entries.map(({ eventId, kind: name, rowCount }, index) => {
        const duplicate = put.entries[index]?.duplicate === true;
        return { event_id: eventId, kind: name, rows: duplicate ? 0 : rowCount, duplicate };
      });
      return { outcome: 'accepted', events };
    },
  };
}

/** As `put`, without storing anything: an event is known while it waits and after it was delivered. */
async function wouldPut(entries: readonly EventEntry[], store: Store) {
  const seen = new Set<string>();
  const found = [];
  for (const { eventId } of entries) {
    const isKnown = async () => (await store.show(eventId)) !== null || (await store.gone(eventId)) !== null;
    found.push({ duplicate: seen.has(eventId) || (await isKnown()) });
    seen.add(eventId);
  }
  return { outcome: 'stored', entries: found } as const;
}
