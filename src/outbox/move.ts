import { OutboxUnavailableError } from './port.ts';
import type { RestoreOutcome, SalvagedRecord } from './salvaged.ts';

/** Moving what an outbox holds into another one, whichever engines they are. */

export interface MoveSource {
  /** All records, in batches: events, then quarantined bodies, then identities of delivered events. */
  records(): AsyncIterable<readonly SalvagedRecord[]>;
  /**
   * Events, with their identities, and quarantined bodies: an identity that stayed would say that the event was here and
   * is done, and when it comes back it would be taken for a duplicate and lost.
   */
  takeAway(ids: readonly string[]): Promise<readonly boolean[]>;
}

export interface MoveTarget {
  restore(records: readonly SalvagedRecord[]): Promise<RestoreOutcome>;
}

export interface MoveCounts {
  /** Events and quarantined bodies that are in the target now and were not before. */
  readonly moved: number;
  /** Those that it knew already, as after a move that was cut off. */
  readonly known: number;
  /** Identities of delivered events that are remembered there now. */
  readonly identities: number;
}

/** The message says what to do. Nothing is lost: what was not taken away from the source is still there. */
export class MoveError extends Error {
  override readonly name = 'MoveError';
  readonly code: 'migrate_not_stored' | 'migrate_in_use' | 'migrate_unreadable';

  constructor(code: MoveError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const IDS_PER_CALL = 500;

/**
 * Copies everything, and takes away from the source what is safe in the target, only then: killed at any moment, it can be
 * run again, and what is in both is known there. Rejects with a MoveError, or an OutboxUnavailableError of the source.
 */
export async function moveRecords(
  source: MoveSource,
  target: MoveTarget,
  onProgress: (counts: MoveCounts) => void = () => undefined,
): Promise<MoveCounts> {
  const counts = { moved: 0, known: 0, identities: 0 };
  const copied: string[] = [];
  for await (const batch of source.records()) {
    if (batch.length === 0) continue;
    const isNew = await store(batch, target);
    for (const [index, record] of batch.entries()) {
      if (record.type === 'identity') counts.identities += isNew[index] === true ? 1 : 0;
      else {
        copied.push(record.type === 'event' ? record.entry.eventId : record.entry.quarantineId);
        if (isNew[index] === true) counts.moved++;
        else counts.known++;
      }
    }
    onProgress({ ...counts });
  }
  for (let from = 0; from < copied.length; from += IDS_PER_CALL) {
    await source.takeAway(copied.slice(from, from + IDS_PER_CALL));
  }
  return counts;
}

async function store(batch: readonly SalvagedRecord[], target: MoveTarget): Promise<readonly boolean[]> {
  let reason = 'the outbox that is moved to is full (OUTBOX_MAX_BYTES)';
  try {
    const stored = await target.restore(batch);
    if (stored.outcome === 'stored') return stored.isNew;
  } catch (error) {
    if (!(error instanceof OutboxUnavailableError)) throw error;
    reason = error.message;
  }
  const advice = 'Nothing was taken away: set right what is wrong, then run it again';
  throw new MoveError('migrate_not_stored', `Not everything was stored: ${reason}. ${advice}.`);
}
