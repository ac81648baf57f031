import type { DatabaseSync } from 'node:sqlite';
import { isCallersFault } from './errors.ts';
import type { Tally } from './tally.ts';

/** What one call of a group did. */
export interface CallResult<Value> {
  readonly value: Value;
  /** What it comes to when there is no room for what it stored, which is then taken back. Absent: it needs no room. */
  readonly ifFull?: Value;
}

export type GroupResult<Value> =
  /** Committed and synced. One entry for each call: its value, or the error that was its own fault. */
  | { readonly committed: true; readonly results: readonly (Value | Error)[]; readonly wrote: boolean }
  /** Nothing of the group is stored. */
  | { readonly committed: false; readonly error: unknown };

export interface GroupCommit {
  /**
   * All calls in one transaction with one sync, each call all or nothing. `attempt` gives what runs a call; it is asked
   * anew when the calls have to be done a second time, one by one.
   */
  run<Call, Value>(calls: readonly Call[], attempt: () => (call: Call) => CallResult<Value>): GroupResult<Value>;
}

export interface GroupCommitParts {
  readonly db: DatabaseSync;
  readonly tally: Tally;
  /** Whether the database, the open transaction included, is within its limit. */
  readonly hasRoom: () => boolean;
}

export function createGroupCommit({ db, tally, hasRoom }: GroupCommitParts): GroupCommit {
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const rollback = db.prepare('ROLLBACK');
  const savepoint = db.prepare('SAVEPOINT call');
  const release = db.prepare('RELEASE call');
  const takeBack = db.prepare('ROLLBACK TO call');
  const totalChanges = db.prepare('SELECT total_changes() AS n');

  /** A full disk or an I/O error may have ended the whole transaction already; it concerns everybody in any case. */
  const concernsAll = (error: unknown): boolean => !db.isTransaction || !isCallersFault(error);

  /** Null: some call has to be taken back, alone. */
  function runTogether<Call, Value>(calls: readonly Call[], run: (call: Call) => CallResult<Value>): Value[] | null {
    let needsRoom = false;
    const results: Value[] = [];
    for (const call of calls) {
      try {
        const { value, ifFull } = run(call);
        results.push(value);
        needsRoom ||= ifFull !== undefined;
      } catch (error) {
        if (concernsAll(error)) throw error;
        return null;
      }
    }
    return needsRoom && !hasRoom() ? null : results;
  }

  function runAlone<Call, Value>(call: Call, run: (call: Call) => CallResult<Value>): Value | Error {
    savepoint.run();
    const mark = tally.mark();
    let result: Value | Error;
    let keep = false;
    try {
      const { value, ifFull } = run(call);
      keep = ifFull === undefined || hasRoom();
      result = keep || ifFull === undefined ? value : ifFull;
    } catch (error) {
      if (concernsAll(error)) throw error;
      result = error instanceof Error ? error : new Error(String(error));
    }
    if (!keep) {
      takeBack.run();
      tally.backTo(mark);
    }
    release.run();
    return result;
  }

  function start(): void {
    begin.run();
    tally.clear();
  }

  function startOver<Call, Value>(calls: readonly Call[], run: (call: Call) => CallResult<Value>): (Value | Error)[] {
    rollback.run();
    start();
    return calls.map((call) => runAlone(call, run));
  }

  return {
    run(calls, attempt) {
      try {
        const before = Number(totalChanges.get()?.['n']);
        start();
        // A savepoint for each call costs a copy of every page that it changes, and hardly any call is taken back.
        const together = runTogether(calls, attempt());
        const results = together ?? startOver(calls, attempt());
        tally.write();
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
