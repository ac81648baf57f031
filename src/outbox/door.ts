import { runWithin, systemClock } from '../ground/clock.ts';
import { CallError, DamageError, type Engine } from './engine.ts';
import { isOverLimit } from './group.ts';
import { OutboxUnavailableError } from './port.ts';

/** `commit`: events are stored. `settle`: anything else is written. */
export type Operation = 'commit' | 'settle' | 'read';

/** The database could not do something, and why. `prune`: it forgot identities too early, for want of room. */
export interface Trouble {
  readonly type: 'trouble';
  readonly operation: Operation | 'checkpoint' | 'prune';
  readonly reason: string;
  /** The database is damaged: nothing more should be asked of it. */
  readonly isDamage: boolean;
}

/** The service has two seconds for all of its end. */
export const CLOSE_LIMIT_MS = 500;

/**
 * The one way to the engine. It says in a caller's terms what went wrong, tells of trouble, remembers whether the database
 * takes events, and refuses what comes after the end.
 */
export function createDoor(engine: Engine, onTrouble: (trouble: Trouble) => void) {
  const underWay = new Set<Promise<unknown>>();
  // The failure of one transaction is one trouble, however many calls shared it.
  const told = new WeakSet<Error>();
  let problem: string | null = null;
  let closed: Promise<void> | null = null;

  function tell(operation: Operation, error: Error): void {
    if (operation !== 'read') problem = error.message;
    if (told.has(error)) return;
    told.add(error);
    onTrouble({ type: 'trouble', operation, reason: error.message, isDamage: error instanceof DamageError });
  }

  return {
    /** Why the last write failed; null after a commit of events that did not. */
    get problem() {
      return problem;
    },

    /** Rejects with a RangeError if the call is at fault, otherwise with an OutboxUnavailableError. */
    async ask<T>(operation: Operation, act: () => Promise<T>): Promise<T> {
      if (closed !== null) throw new OutboxUnavailableError('the outbox is closed');
      const run = act();
      underWay.add(run);
      try {
        const value = await run;
        // Another write says nothing of events: a server that runs out of storage takes a settlement and refuses a put.
        if (operation === 'commit') problem = null;
        return value;
      } catch (thrown) {
        const error = thrown instanceof Error ? thrown : new Error(String(thrown));
        if (error instanceof CallError) throw new RangeError(error.message, { cause: error });
        if (!isOverLimit(error)) tell(operation, error);
        throw new OutboxUnavailableError(error.message, { cause: error });
      } finally {
        underWay.delete(run);
      }
    },

    /** Lets the engine finish what it was asked, and closes it. Twice does nothing. */
    close(): Promise<void> {
      closed ??= within(Promise.allSettled(underWay), CLOSE_LIMIT_MS).then(() => engine.close());
      return closed;
    },
  };
}

/**
 * Waits for the end of `work`, whatever it is, and not longer than this: a database that does not answer must not hold up
 * the end of the process.
 */
export async function within(work: Promise<unknown>, limitMs: number): Promise<void> {
  await runWithin({ clock: systemClock, limitMs }, () => work).catch(() => undefined);
}
