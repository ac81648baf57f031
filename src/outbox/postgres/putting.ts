import { type Commit, describeCommit } from '../commit.ts';
import type { PutOutcome } from '../port.ts';
import { createAbsence } from './absence.ts';
import type { Database } from './database.ts';
import { describe, isConnectionGone, isDiskFull, isReadOnlyError } from './errors.ts';
import { ForgottenError, FullError, type PutCall, putCalls, resolveQuarantined } from './put.ts';
import { sqlState } from './sql-state.ts';
import type { Usage } from './usage.ts';
import type { Waker } from './wake.ts';

export interface PuttingParts {
  readonly database: Database;
  readonly usage: Usage;
  readonly maxBytes: number;
  readonly waker: Waker;
  /** Null: a put was committed. */
  readonly onHealth: (problem: string | null) => void;
  readonly onCommit: (commit: Commit) => void;
}

type Result = PutOutcome | Error;

const MAX_FORGOTTEN = 5;

/** Runs a group of puts: those that only add in one transaction, and each that resolves a quarantined body in its own. */
export function createPutting(parts: PuttingParts): (calls: readonly PutCall[]) => Promise<Result[]> {
  const { database, usage, maxBytes, waker, onHealth, onCommit } = parts;
  const absence = createAbsence(database);

  /** All of them in one transaction, or none. */
  function commit(calls: readonly PutCall[]): Promise<PutOutcome[]> {
    return database.transaction('put', async (session) => {
      const [only] = calls;
      if (calls.length === 1 && only !== undefined && only.resolves !== null) {
        if (!(await resolveQuarantined(session, only.resolves))) return [{ outcome: 'stored', entries: [] }];
      }
      const outcomes = await putCalls(session, calls, { usage, maxBytes });
      await waker.tell(session, newIn(calls, outcomes));
      return outcomes;
    });
  }

  async function commitSurely(calls: readonly PutCall[]): Promise<PutOutcome[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await commit(calls);
      } catch (error) {
        if (!(error instanceof ForgottenError) || tries >= MAX_FORGOTTEN) throw error;
      }
    }
  }

  async function attempt(calls: readonly PutCall[]): Promise<Result[]> {
    const away = await absence.reason();
    if (away !== null) return calls.map(() => ({ outcome: 'unavailable', reason: away }));
    try {
      const outcomes = await commitSurely(calls);
      usage.grew(calls.reduce((sum, { bytes }) => sum + bytes, 0));
      onHealth(null);
      return outcomes;
    } catch (error) {
      if (error instanceof FullError || isCallersFault(error)) {
        // One by one: what one asks for is not the others' fault, and a small one may still have room.
        if (calls.length > 1) return (await inTurn(calls, (call) => attempt([call]))).flat();
        return [error instanceof FullError ? { outcome: 'full' } : new RangeError(describe(error))];
      }
      const reason = describe(error);
      onHealth(reason);
      if (isConnectionGone(error) && !isReadOnlyError(error)) absence.begin(reason);
      return calls.map(() => (isDiskFull(error) ? { outcome: 'full' } : { outcome: 'unavailable', reason }));
    }
  }

  async function measured(calls: readonly PutCall[]): Promise<Result[]> {
    const begunAt = performance.now();
    const results = await attempt(calls);
    onCommit(describeCommit(calls, results, performance.now() - begunAt));
    return results;
  }

  return async (calls) => {
    const plain = calls.filter(({ resolves }) => resolves === null);
    const results = new Map<PutCall, Result>();
    const groups = [plain, ...calls.filter(({ resolves }) => resolves !== null).map((call) => [call])];
    for (const group of groups) {
      if (group.length === 0) continue;
      const done = await measured(group);
      for (const [index, call] of group.entries()) results.set(call, done[index] ?? new Error('The group lost a put'));
    }
    return calls.map((call) => results.get(call) ?? new Error('The group lost a put'));
  };
}

/** A value that the schema refuses: data exception or integrity constraint violation. */
function isCallersFault(error: unknown): boolean {
  const state = sqlState(error);
  return state !== null && (state.startsWith('22') || state.startsWith('23'));
}

/** What came to wait, in bytes by kind. */
function newIn(calls: readonly PutCall[], outcomes: readonly PutOutcome[]): Map<string, number> {
  const byKind = new Map<string, number>();
  for (const [index, { entries }] of calls.entries()) {
    const outcome = outcomes[index];
    if (outcome?.outcome !== 'stored') continue;
    for (const [place, entry] of entries.entries()) {
      if (entry.type !== 'event' || outcome.entries[place]?.duplicate !== false) continue;
      byKind.set(entry.kind, (byKind.get(entry.kind) ?? 0) + entry.mappedBytes);
    }
  }
  return byKind;
}

async function inTurn<Call, Value>(calls: readonly Call[], run: (call: Call) => Promise<Value>): Promise<Value[]> {
  const values: Value[] = [];
  for (const call of calls) values.push(await run(call));
  return values;
}
