import type { DatabaseSync } from 'node:sqlite';
import { isCallersFault } from './errors.ts';

/** What one call of a group did. `keep: false` takes it back, and leaves the others of its group as they are. */
export interface CallResult<Value> {
  readonly keep: boolean;
  readonly value: Value;
}

export type GroupResult<Value> =
  /** Committed and synced. One entry for each call: its value, or the error that was its own fault. */
  | { readonly committed: true; readonly results: readonly (Value | Error)[]; readonly wrote: boolean }
  /** Nothing of the group is stored. */
  | { readonly committed: false; readonly error: unknown };

export interface GroupCommit {
  /** Runs `run` for each call, all in one transaction with one sync, each call all or nothing. */
  run<Call, Value>(calls: readonly Call[], run: (call: Call) => CallResult<Value>): GroupResult<Value>;
}

export function createGroupCommit(db: DatabaseSync): GroupCommit {
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const rollback = db.prepare('ROLLBACK');
  const savepoint = db.prepare('SAVEPOINT call');
  const release = db.prepare('RELEASE call');
  const takeBack = db.prepare('ROLLBACK TO call');
  const totalChanges = db.prepare('SELECT total_changes() AS n');

  function runOne<Call, Value>(call: Call, run: (call: Call) => CallResult<Value>): Value | Error {
    savepoint.run();
    let result: Value | Error;
    let keep = false;
    try {
      const done = run(call);
      result = done.value;
      keep = done.keep;
    } catch (error) {
      // A full disk or an I/O error may have ended the whole transaction already; it concerns everybody in any case.
      if (!db.isTransaction || !isCallersFault(error)) throw error;
      result = error instanceof Error ? error : new Error(String(error));
    }
    if (!keep) takeBack.run();
    release.run();
    return result;
  }

  return {
    run(calls, run) {
      try {
        const before = Number(totalChanges.get()?.['n']);
        begin.run();
        const results = calls.map((call) => runOne(call, run));
        commit.run();
        return { committed: true, results, wrote: Number(totalChanges.get()?.['n']) !== before };
      } catch (error) {
        // When even this fails the connection's state is unknown: the error goes up and ends the worker.
        if (db.isTransaction) rollback.run();
        return { committed: false, error };
      }
    },
  };
}
