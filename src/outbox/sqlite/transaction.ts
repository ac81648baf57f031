import type { DatabaseSync } from 'node:sqlite';
import { CallError, DamageError, FullError } from '../engine.ts';
import { describe, isCallersFault, isDamage, isDiskFull } from './errors.ts';

/**
 * Runs `act` and commits what it wrote, synced; if it throws, nothing is written. Errors are those of engine.ts. `onEnd`
 * is called after each transaction, whatever came of it.
 */
export type Transaction = <T>(act: () => T) => T;

export function createTransaction(db: DatabaseSync, onEnd: () => void): Transaction {
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const rollback = db.prepare('ROLLBACK');

  function takeBack(): void {
    try {
      if (db.isTransaction) rollback.run();
    } catch (error) {
      // The connection's state is unknown: only a new one can tell what is in the database.
      throw new DamageError(`a transaction could not be taken back: ${describe(error)}`, { cause: error });
    }
  }

  return (act) => {
    try {
      begin.run();
      const value = act();
      commit.run();
      return value;
    } catch (error) {
      takeBack();
      throw toEngineError(error);
    } finally {
      onEnd();
    }
  };
}

/** What an engine's method rejects with, for an error of SQLite's or of the code around it. */
export function toEngineError(error: unknown): Error {
  if (error instanceof FullError || error instanceof DamageError || error instanceof CallError) return error;
  // A TypeError: a value that cannot be bound to a statement.
  if (error instanceof RangeError || error instanceof TypeError) return new CallError(error.message, { cause: error });
  if (isDamage(error)) return new DamageError(describe(error), { cause: error });
  if (isDiskFull(error)) return new FullError('disk', describe(error), { cause: error });
  if (isCallersFault(error)) return new CallError(describe(error), { cause: error });
  return new Error(describe(error), { cause: error });
}
