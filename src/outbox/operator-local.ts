import type { RowRange } from '../ground/event.ts';
import type { Logger } from '../ground/log.ts';
import {
  detailJson,
  type HeldKind,
  type OperatorListRequest,
  type OutboxOperator,
  type PurgeResult,
  pageJson,
  type ReplayResult,
  statsJson,
} from './operator.ts';
import { type OutboxStats, OutboxUnavailableError } from './port.ts';
import { countRows, mergeRanges } from './ranges.ts';
import { RecordIdError, wholeId } from './record-id.ts';
import type { OutboxRecords, RecordPage, RecordSummary } from './records.ts';

/** Of one call: more would hold the engine, and a request, for too long. */
export const MAX_IDS_PER_CALL = 1_000;

/** Pages of the outbox that one call looks through; a page of ours may be short, or empty, and still have a `next`. */
const MAX_PAGES_PER_CALL = 20;

/** What a log line names; the others are counted. */
const MAX_LOGGED_IDS = 100;

export interface OperatorOptions {
  readonly outbox: OutboxRecords & { stats(): Promise<OutboxStats> };
  readonly log: Logger;
  readonly holds: () => readonly HeldKind[];
}

/** The operator's hands on an outbox that this process has open. Rejects with an OutboxUnavailableError. */
export function createOperator(options: OperatorOptions): OutboxOperator {
  const { outbox, holds, log } = options;
  return {
    async stats() {
      return statsJson(await outbox.stats(), holds());
    },
    async list(request) {
      return pageJson(await listRecords(outbox, request, holds()));
    },
    async show(id) {
      const record = await outbox.show(await wholeId(id, outbox));
      return record === null ? null : detailJson(record);
    },
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
  readonly ranges: readonly RowRange[];
}

async function replayOne(id: string, dryRun: boolean, options: OperatorOptions): Promise<ReplayResult | Revival> {
  const record = await options.outbox.show(id);
  if (record === null) return { id, outcome: 'nothing_to_replay' };
  if (record.type === 'quarantine') return readAgain(id, dryRun, options.outbox);
  const ranges = mergeRanges(
    record.deadLetters.flatMap(({ rows }) => rows),
    [],
  );
  if (ranges.length === 0 || record.kind === null) return { id, outcome: 'nothing_to_replay' };
  return { id, kind: record.kind, ranges };
}

async function readAgain(id: string, dryRun: boolean, outbox: OutboxRecords): Promise<ReplayResult> {
  const read = await outbox.readAgain(id, dryRun);
  if (read.outcome !== 'accepted') return { id, ...read };
  const events = read.events.map(({ eventId, ...event }) => ({ event_id: eventId, ...event }));
  return { id, outcome: 'accepted', events };
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
  { outbox }: OperatorOptions,
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
  return events.map(({ id, ranges }, index): ReplayResult => {
    const rows = counts[index] ?? 0;
    if (rows === 0) return { id, outcome: 'nothing_to_replay' };
    return { id, outcome: 'revived', rows, ranges };
  });
}

function logReplay(results: readonly ReplayResult[], { log }: OperatorOptions): void {
  const ids = results.filter(({ outcome }) => outcome === 'revived' || outcome === 'accepted').map(({ id }) => id);
  const events = results.flatMap((result) =>
    result.outcome === 'accepted' ? result.events.map((event) => event.event_id) : [],
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

/**
 * Which stream is on hold is delivery's knowledge and not the outbox's, so `held` and `waiting` are told apart here.
 * The cursor stays the outbox's own: a hold that begins or ends between two pages skips no record of either state.
 */
async function listRecords(
  outbox: OutboxRecords,
  { state, ...request }: OperatorListRequest,
  holds: readonly HeldKind[],
): Promise<RecordPage> {
  if (state !== 'held' && state !== 'waiting') return outbox.list({ state, ...request });
  const held = holds.map(({ kind }) => kind);
  const wanted = (kind: string | null): boolean => (kind !== null && held.includes(kind)) === (state === 'held');
  if (request.kind === undefined ? state === 'held' && held.length === 0 : !wanted(request.kind)) return noRecords;
  if (request.kind !== undefined || held.length === 0) return outbox.list({ state: 'waiting', ...request });
  return filtered(outbox, request, wanted);
}

const noRecords: RecordPage = { records: [], next: null };

async function filtered(
  outbox: OutboxRecords,
  { after, limit }: { after?: string; limit: number },
  wanted: (kind: string | null) => boolean,
): Promise<RecordPage> {
  const records: RecordSummary[] = [];
  let next: string | null = after ?? null;
  for (let pages = 0; pages < MAX_PAGES_PER_CALL && records.length < limit; pages++) {
    const page = await outbox.list({
      state: 'waiting',
      limit: limit - records.length,
      ...(next !== null && { after: next }),
    });
    records.push(...page.records.filter(({ kind }) => wanted(kind)));
    next = page.next;
    if (next === null) break;
  }
  return { records, next };
}
