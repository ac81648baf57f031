import type { DatabaseSync } from 'node:sqlite';
import type { ClaimedEvent, ClaimRequest, OutboxStats, PutOutcome, SettlementOutcome } from '../port.ts';
import { createClaim } from './claim.ts';
import { createClaims } from './claims.ts';
import { describe, isDiskFull } from './errors.ts';
import { createHealth } from './health.ts';
import { emptyLog, foldLog } from './log.ts';
import type { PutArgs, SettleArgs } from './protocol.ts';
import { createPrune, type PruneChunk } from './prune.ts';
import { createPut } from './put.ts';
import { createSettle } from './settle.ts';
import { createStats } from './stats.ts';
import { createGroupCommit } from './transaction.ts';
import { createUsage } from './usage.ts';

/** Could not be committed: nothing of the group was stored. */
export interface Uncommitted {
  readonly unavailable: string;
}

/** The outbox's operations on an open database, synchronous. Each runs to its end, commit included. */
export interface Store {
  /** One outcome a call; an Error is that call's own fault. */
  put(calls: readonly PutArgs[]): readonly (PutOutcome | Error)[];
  settle(calls: readonly SettleArgs[]): readonly (readonly SettlementOutcome[] | Error)[] | Uncommitted;
  claim(request: ClaimRequest): readonly ClaimedEvent[];
  stats(): OutboxStats;
  pruneChunk(deliveredBefore: number): PruneChunk;
  close(): void;
}

export function createStore(db: DatabaseSync, maxBytes: number): Store {
  const group = createGroupCommit(db);
  const usage = createUsage(db);
  const health = createHealth();
  const claims = createClaims();
  const putOne = createPut(db, usage, maxBytes);
  const settleOne = createSettle(db, claims);

  function failed(error: unknown): string {
    // Folded in, the log starts over in the room it has: settlements may then go on while the disk is full.
    if (isDiskFull(error)) foldLog(db);
    const reason = describe(error);
    health.failed(reason);
    return reason;
  }

  return {
    put(calls) {
      const done = group.run(calls, putOne);
      if (done.committed) {
        if (done.wrote) health.wrote();
        return done.results;
      }
      const reason = failed(done.error);
      return calls.map(() => (isDiskFull(done.error) ? { outcome: 'full' } : { outcome: 'unavailable', reason }));
    },

    settle(calls) {
      const ended = new Set<string>();
      const done = group.run(calls, (call) => {
        const settled = settleOne(call, ended);
        for (const eventId of settled.value.released) ended.add(eventId);
        return settled;
      });
      if (!done.committed) {
        return { unavailable: failed(done.error) };
      }
      if (done.wrote) health.wrote();
      // Only now: a claim that ended before its rows were recorded would send them again.
      for (const eventId of ended) claims.release(eventId);
      return done.results.map((result) => (result instanceof Error ? result : result.outcomes));
    },

    claim: createClaim(db, claims),
    stats: createStats({ db, group, usage, health, maxBytes }),
    pruneChunk: createPrune(db, group, health),

    close() {
      emptyLog(db);
      db.close();
    },
  };
}
