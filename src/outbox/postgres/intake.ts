import type { Clock } from '../../ground/clock.ts';
import { bodyBytes, copyEntries } from '../entries.ts';
import { type Outbox, type OutboxEntry, OutboxUnavailableError, type PutOutcome } from '../port.ts';
import { GroupQueue } from './group.ts';
import type { PutCall } from './put.ts';
import { createPutting, type PuttingParts } from './putting.ts';
import type { Work } from './work.ts';

/** Bodies on their way to the database. Past this a slow one would show as memory; the sender tries again. */
const MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024;

/** The port's `put`: checks, bounds what is under way, and lets what comes together share a commit. */
export function createIntake({ work, clock, ...parts }: PuttingParts & { work: Work; clock: Clock }): Outbox['put'] {
  const puts = new GroupQueue<PutCall, PutOutcome>(createPutting(parts), ({ bytes }) => bytes);
  let inFlightBytes = 0;

  return async (given, { resolves } = {}) => {
    const entries = copyEntries(given);
    checkTexts(entries);
    if (work.isClosing) return { outcome: 'unavailable', reason: 'the outbox is closed' };
    if (entries.length === 0 && resolves === undefined) return { outcome: 'stored', entries: [] };
    const bytes = bodyBytes(entries);
    // One put alone is always taken, whatever its size: it could never be stored else.
    if (inFlightBytes > 0 && inFlightBytes + bytes > MAX_IN_FLIGHT_BYTES) {
      return { outcome: 'unavailable', reason: 'busy' };
    }
    inFlightBytes += bytes;
    try {
      return await work.asked(() => puts.add({ entries, bytes, now: clock.now(), resolves: resolves ?? null }));
    } catch (error) {
      if (error instanceof OutboxUnavailableError) return { outcome: 'unavailable', reason: error.message };
      throw error;
    } finally {
      inFlightBytes -= bytes;
    }
  };
}

/** No text of the database holds U+0000. Bodies, feeds and reasons may, and are kept as bytes. */
function checkTexts(entries: readonly OutboxEntry[]): void {
  for (const entry of entries) {
    const texts = entry.type === 'event' ? [entry.eventId, entry.kind] : [entry.quarantineId, entry.code];
    if (texts.some((text) => text.includes('\0'))) throw new RangeError('An id, kind or code holds U+0000');
  }
}
