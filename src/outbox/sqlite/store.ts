import type { DatabaseSync } from 'node:sqlite';
import {
  type ClaimedEvent,
  type ClaimKey,
  type ClaimRequest,
  type OutboxStats,
  OutboxUnavailableError,
  type PutOutcome,
  type RowRange,
  type SettlementOutcome,
} from '../port.ts';
import type { FoundIds, RecordDetail } from '../records.ts';
import type { ListArgs } from '../requests.ts';
import type { RestoreOutcome, SalvagedRecord } from '../salvaged.ts';
import { createBodies, createClaim } from './claim.ts';
import { createClaims } from './claims.ts';
import { describe, isDiskFull } from './errors.ts';
import { createHealth } from './health.ts';
import { createList, type Page } from './list.ts';
import { emptyLog, foldLog } from './log.ts';
import type { PutArgs, SettleArgs } from './protocol.ts';
import { createPrune, type PruneChunk, RECORDED_UNTIL } from './prune.ts';
import { createPurge, type PurgeArgs } from './purge.ts';
import { createPut } from './put.ts';
import { createRestore } from './restore.ts';
import { createRevive } from './revive.ts';
import { Seqs } from './seqs.ts';
import { createSettle } from './settle.ts';
import { createFind, createShow } from './show.ts';
import { getRow } from './sql.ts';
import { createStats } from './stats.ts';
import { Tally } from './tally.ts';
import { type CallResult, createGroupCommit } from './transaction.ts';
import { createUsage } from './usage.ts';

/** Could not be committed: nothing of the group was stored. */
export interface Uncommitted {
  readonly unavailable: string;
}

/** The outbox's operations on an open database, synchronous. Each runs to its end, commit included, or throws. */
export interface Store {
  /** One outcome a call; an Error is that call's own fault. */
  put(calls: readonly PutArgs[]): readonly (PutOutcome | Error)[];
  settle(calls: readonly SettleArgs[]): readonly (readonly SettlementOutcome[] | Error)[] | Uncommitted;
  claim(request: ClaimRequest): readonly ClaimedEvent[];
  bodies(keys: readonly ClaimKey[]): readonly (string | null)[];
  stats(): OutboxStats;
  pruneChunk(deliveredBefore: number): PruneChunk;
  recordedUntil(): number | null;
  list(request: ListArgs): Page;
  show(id: string): RecordDetail | null;
  find(start: string): FoundIds;
  revive(eventIds: readonly string[]): readonly number[];
  purge(call: PurgeArgs): readonly boolean[];
  restore(records: readonly SalvagedRecord[]): RestoreOutcome;
  close(): void;
}

export function createStore(db: DatabaseSync, maxBytes: number): Store {
  const tally = new Tally(db);
  const usage = createUsage(db);
  const group = createGroupCommit({ db, tally, hasRoom: () => usage.usedBytes() <= maxBytes });
  const health = createHealth();
  const claims = createClaims();
  const seqs = new Seqs(db);
  const putOne = createPut(db, seqs, tally);
  const settleOne = createSettle(db, claims, tally);
  const reviveOne = createRevive(db, tally);
  const purgeOne = createPurge(db, tally);
  const restoreOne = createRestore(db, seqs, tally);

  function failed(error: unknown): string {
    // Folded in, the log starts over in the room it has: settlements may then go on while the disk is full.
    if (isDiskFull(error)) foldLog(db);
    const reason = describe(error);
    health.failed(reason);
    return reason;
  }

  function commitOne<Call, Value>(call: Call, run: (call: Call) => CallResult<Value>): Value {
    const done = group.run([call], () => run);
    if (!done.committed) throw new OutboxUnavailableError(failed(done.error), { cause: done.error });
    if (done.wrote) health.wrote();
    const [result] = done.results;
    if (result === undefined || result instanceof Error) throw result ?? new Error('The group lost its call');
    return result;
  }

  return {
    put(calls) {
      const done = group.run(calls, () => putOne);
      if (done.committed) {
        if (done.wrote) health.wrote();
        return done.results;
      }
      const reason = failed(done.error);
      return calls.map(() => (isDiskFull(done.error) ? { outcome: 'full' } : { outcome: 'unavailable', reason }));
    },

    settle(calls) {
      const progress = new Map<string, readonly RowRange[]>();
      const done = group.run(calls, () => {
        progress.clear();
        return (call) => {
          const settled = settleOne(call, progress);
          for (const [eventId, rows] of settled.value.progress) progress.set(eventId, rows);
          return settled;
        };
      });
      if (!done.committed) {
        return { unavailable: failed(done.error) };
      }
      if (done.wrote) health.wrote();
      // Only now: a claim that ended before its rows were recorded would send them again.
      for (const [eventId, rows] of progress) claims.keep(eventId, rows);
      return done.results.map((result) => (result instanceof Error ? result : result.outcomes));
    },

    claim: createClaim(db, claims),
    bodies: createBodies(db, claims),
    stats: createStats({ db, group, usage, health, maxBytes }),
    pruneChunk: createPrune(db, group, health),

    recordedUntil: () => getRow<{ until: number | null }>(db.prepare(RECORDED_UNTIL))?.until ?? null,
    list: createList(db),
    show: createShow(db),
    find: createFind(db),
    revive: (eventIds) => commitOne(eventIds, reviveOne),

    restore: (records) => commitOne(records, restoreOne),

    purge(call) {
      const removed = commitOne(call, purgeOne);
      for (const id of call.ids) claims.release(id);
      emptyLog(db); // who purges wants it gone
      return removed;
    },

    close() {
      emptyLog(db);
      db.close();
    },
  };
}
