import type { Logger } from '../ground/log.ts';
import type { Understand } from '../intake/understand.ts';
import type { HeldKind, OutboxOperator, PurgeResult, ReplayResult } from './operator.ts';
import { createHeldList } from './operator-list.ts';
import { type EventEntry, OutboxUnavailableError, type RowRange } from './port.ts';
import { countRows, mergeRanges } from './ranges.ts';
import { RecordIdError, wholeId } from './record-id.ts';
import type { OperableOutbox, OutboxRecords, RecordDetail } from './records.ts';

/** Of one call: more would hold the engine, and a request, for too long. */
export const MAX_IDS_PER_CALL = 1_000;

/** What a log line names; the others are counted. */
const MAX_LOGGED_IDS = 100;

export interface OperatorOptions {
  readonly outbox: OperableOutbox;
  readonly log: Logger;
  readonly understand: Understand;
  readonly holds: () => readonly HeldKind[];
  /** Tells delivery that there is something to send. */
  readonly onStored: (kind: string, mappedBytes: number) => void;
}

/** The operator's hands on an outbox that this process has open. Rejects with an OutboxUnavailableError. */
export function createOperator(options: OperatorOptions): OutboxOperator {
  const { outbox, holds, log } = options;
  return {
    async stats() {
      return { ...(await outbox.stats()), holds: holds() };
    },
    list: createHeldList(outbox, () => holds().map(({ kind }) => kind)),
    show: async (id) => outbox.show(await wholeId(id, outbox)),
    async replay(ids, { dryRun }) {
      checkIds(ids);
      const found = new Map<string, { readonly whole: string } | ReplayResult>();
      for (const id of new Set(ids)) {
        found.set(id, await orRefused(id, async () => ({ whole: await wholeId(id, outbox) })));
      }
      const whole = [...found.values()].flatMap((one) => ('whole' in one ? [one.whole] : []));
      const results = await replay([...new Set(whole)], dryRun, options);
      if (!dryRun) logReplay(results, options);
      return ids.flatMap((id) => {
        const one = found.get(id);
        return one !== undefined && 'whole' in one
          ? (results.find((result) => result.id === one.whole) ?? [])
          : (one ?? []);
      });
    },
    async purge(ids) {
      checkIds(ids);
      const found = new Map<string, string | PurgeResult>();
      for (const id of new Set(ids)) found.set(id, await wholeIdToPurge(id, outbox));
      const whole = [...new Set([...found.values()].filter((one) => typeof one === 'string'))];
      const removed = whole.length === 0 ? [] : await outbox.purge(whole);
      const purged = whole.filter((_, index) => removed[index]);
      if (purged.length > 0) log.warn({ records: purged.length, ids: purged.slice(0, MAX_LOGGED_IDS) }, 'purged');
      return ids.map((id) => {
        const one = found.get(id) ?? id;
        return typeof one === 'string' ? { id: one, purged: purged.includes(one) } : one;
      });
    },
  };
}

async function wholeIdToPurge(id: string, outbox: OutboxRecords): Promise<string | PurgeResult> {
  try {
    return await wholeId(id, outbox);
  } catch (error) {
    if (!(error instanceof RecordIdError)) throw error;
    return { id, purged: false, code: error.code, detail: error.message };
  }
}

function checkIds(ids: readonly string[]): void {
  if (ids.length < 1 || ids.length > MAX_IDS_PER_CALL) {
    throw new RangeError(`1 to ${MAX_IDS_PER_CALL} ids a call, got ${ids.length}`);
  }
}

/** Quarantined bodies one by one, each in a transaction of its own; all events in one at the end. */
async function replay(ids: readonly string[], dryRun: boolean, options: OperatorOptions): Promise<ReplayResult[]> {
  const events: Revival[] = [];
  const results = new Map<string, ReplayResult>();
  for (const id of ids) {
    const outcome = await orRefused(id, () => replayOne(id, dryRun, options));
    if ('kind' in outcome) events.push(outcome);
    else results.set(id, outcome);
  }
  for (const result of await revive(events, dryRun, options)) results.set(result.id, result);
  return ids.flatMap((id) => results.get(id) ?? []);
}

/** An event with dead rows, and which. */
interface Revival {
  readonly id: string;
  readonly kind: string;
  readonly bodyBytes: number;
  readonly ranges: readonly RowRange[];
}

async function replayOne(id: string, dryRun: boolean, options: OperatorOptions): Promise<ReplayResult | Revival> {
  const record = await options.outbox.show(id);
  if (record === null) return { id, outcome: 'nothing_to_replay' };
  if (record.type === 'quarantine') return readAgain(record, dryRun, options);
  const ranges = mergeRanges(
    record.deadLetters.flatMap(({ rows }) => rows),
    [],
  );
  if (ranges.length === 0 || record.kind === null) return { id, outcome: 'nothing_to_replay' };
  return { id, kind: record.kind, bodyBytes: record.bodyBytes, ranges };
}

/** The answer for the others must not hang on one that failed. */
async function orRefused<T>(id: string, act: () => Promise<T>): Promise<T | ReplayResult> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof OutboxUnavailableError) return { id, outcome: 'unavailable' };
    if (error instanceof RecordIdError) {
      return { id, outcome: 'nothing_to_replay', code: error.code, detail: error.message };
    }
    throw error;
  }
}

async function revive(
  events: readonly Revival[],
  dryRun: boolean,
  { outbox, onStored }: OperatorOptions,
): Promise<ReplayResult[]> {
  if (events.length === 0) return [];
  if (dryRun) return events.map(({ id, ranges }) => ({ id, outcome: 'revived', rows: countRows(ranges), ranges }));
  let counts: readonly number[];
  try {
    counts = await outbox.revive(events.map(({ id }) => id));
  } catch (error) {
    if (!(error instanceof OutboxUnavailableError)) throw error;
    return events.map(({ id }) => ({ id, outcome: 'unavailable' }));
  }
  return events.map(({ id, kind, bodyBytes, ranges }, index): ReplayResult => {
    const rows = counts[index] ?? 0;
    if (rows === 0) return { id, outcome: 'nothing_to_replay' };
    onStored(kind, Math.max(1, bodyBytes));
    return { id, outcome: 'revived', rows, ranges };
  });
}

/**
 * With the schemas and the code of now, and the time at which it was received: the rows say when the event came, not
 * when somebody replayed it. The event_id is made of the content alone, and so is the same as ever.
 */
async function readAgain(record: RecordDetail, dryRun: boolean, options: OperatorOptions): Promise<ReplayResult> {
  const { id, receivedAt, feed, kind, charset = null } = record;
  const understood = await options.understand({ bytes: record.body, feed, kind, charset }, receivedAt);
  if ('refusal' in understood) {
    const { code, detail } = understood.refusal;
    return { id, outcome: 'still_refused', code, detail };
  }
  const { entries } = understood;
  if (dryRun) return { id, outcome: 'accepted', events: await wouldStore(entries, options.outbox) };
  const put = await options.outbox.put(entries, { resolves: id });
  if (put.outcome !== 'stored') return { id, outcome: 'unavailable' };
  if (put.entries.length === 0) return { id, outcome: 'nothing_to_replay' };
  const events = entries.map((entry, index) => replayed(entry, put.entries[index]?.duplicate ?? false));
  for (const [index, entry] of entries.entries()) {
    if (!events[index]?.duplicate) options.onStored(entry.kind, entry.mappedBytes);
  }
  return { id, outcome: 'accepted', events };
}

/** What can be known without storing: an event that was delivered already is only found out by the real put. */
async function wouldStore(entries: readonly EventEntry[], outbox: OutboxRecords) {
  const seen = new Set<string>();
  const events = [];
  for (const entry of entries) {
    const duplicate = seen.has(entry.eventId) || (await outbox.show(entry.eventId)) !== null;
    seen.add(entry.eventId);
    events.push(replayed(entry, duplicate));
  }
  return events;
}

function replayed({ eventId, kind, rowCount }: EventEntry, duplicate: boolean) {
  return { eventId, kind, rows: duplicate ? 0 : rowCount, duplicate };
}

function logReplay(results: readonly ReplayResult[], { log }: OperatorOptions): void {
  const ids = results.filter(({ outcome }) => outcome === 'revived' || outcome === 'accepted').map(({ id }) => id);
  const events = results.flatMap((result) =>
    result.outcome === 'accepted' ? result.events.map(({ eventId }) => eventId) : [],
  );
  log.info(
    {
      records: ids.length,
      not_replayed: results.length - ids.length,
      ids: ids.slice(0, MAX_LOGGED_IDS),
      event_ids: events.slice(0, MAX_LOGGED_IDS),
    },
    'replayed',
  );
}
