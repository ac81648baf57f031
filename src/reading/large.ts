import { planStored, type StoredEvent } from '../kinds/plan-stored.ts';
import { inOneMessage, understoodOf } from './message.ts';
import type { Operations } from './protocol.ts';
import type { Reading, ReadingOptions } from './reading.ts';
import { createThread } from './thread.ts';

/** Heap limit, well above what the largest body takes: 16 MiB of text, or 300,000 values. */
const MAX_HEAP_MB = 320;
/** Of rows in one message: as much as others may wait for. */
const ROWS_BYTES = 262_144;

/** One thing at a time: what waits in a thread's mailbox would be a copy of each body that waits. */
export function createLargeLane(options: ReadingOptions): Reading {
  const { streams, escaping, clock, log } = options;
  const thread = createThread({
    name: 'large bodies',
    settings: { streams, escaping },
    maxHeapMb: MAX_HEAP_MB,
    clock,
    log,
  });
  let last: Promise<void> = Promise.resolve();

  function inTurn<Result>(ask: () => Promise<Result>): Promise<Result> {
    const result = last.then(ask);
    const forget = () => undefined;
    // Not the result itself, which would stay in memory until the next one.
    last = result.then(forget, forget);
    return result;
  }

  return {
    async understand(body, receivedAt) {
      const job = { body, receivedAt };
      const results = await inTurn(() => thread.ask('understand', ...inOneMessage([job])));
      return understoodOf(results?.[0], job, options);
    },

    async *rows(kind, event, range) {
      const { eventId, body, meta, rowCount } = event;
      const [, to] = range;
      let [from] = range;
      let sent: StoredEvent | null = null;
      while (from < to) {
        const args: Operations['rows']['args'] = { eventId, event: sent, range: [from, to], maxBytes: ROWS_BYTES };
        const result: Operations['rows']['result'] | null = await inTurn(() => thread.ask('rows', args));
        if (result === null) {
          yield planStored(kind, event).rows([from, to]);
          return;
        }
        const isMissing: boolean = 'missing' in result;
        sent = isMissing ? { eventId, kind: kind.name, body, meta, rowCount } : null;
        if ('missing' in result) continue;
        from += result.rows.length;
        yield result.rows;
        if ('failed' in result) throw Object.assign(new Error('mapping failed'), { name: result.failed });
      }
    },

    close: thread.close,
  };
}
