import { MoveError } from '../move.ts';
import { OutboxUnavailableError } from '../port.ts';
import type { Database, Mode, Session } from './database.ts';
import { describe } from './errors.ts';
import { foldTallies } from './tally.ts';
import type { Usage } from './usage.ts';

/** What is under way, so that closing can wait for it. */
export interface Work {
  /** Rejects with an OutboxUnavailableError, also when it is too late, or with an error that is the caller's own. */
  asked<T>(act: () => Promise<T>): Promise<T>;
  /** The same for one transaction. */
  inTransaction<T>(mode: Mode, act: (session: Session) => Promise<T>): Promise<T>;
  readonly isClosing: boolean;
  /** Takes nothing more, and waits for what was asked before. */
  finish(): Promise<void>;
}

export function createWork(database: Database, usage: Usage): Work {
  const underWay = new Set<Promise<unknown>>();
  let isClosing = false;
  let isFolding = false;

  async function keep<T>(run: Promise<T>): Promise<T> {
    underWay.add(run);
    try {
      return await run;
    } finally {
      underWay.delete(run);
    }
  }

  async function asked<T>(act: () => Promise<T>): Promise<T> {
    if (isClosing) throw new OutboxUnavailableError('the outbox is closed');
    try {
      return await keep(act());
    } catch (error) {
      if (isToldAsItIs(error)) throw error;
      throw new OutboxUnavailableError(describe(error), { cause: error });
    } finally {
      void tidy();
    }
  }

  /** Never rejects: what was not folded now is folded another time. */
  async function tidy(): Promise<void> {
    if (!usage.isScattered || isFolding || isClosing) return;
    isFolding = true;
    try {
      await keep(database.transaction('write', foldTallies));
      usage.folded();
    } catch {
      // The database is away, which others tell.
    } finally {
      isFolding = false;
    }
  }

  return {
    asked,
    inTransaction: (mode, act) => asked(() => database.transaction(mode, act)),
    get isClosing() {
      return isClosing;
    },
    async finish() {
      isClosing = true;
      while (underWay.size > 0) await Promise.allSettled([...underWay]);
    },
  };
}

function isToldAsItIs(error: unknown): boolean {
  return [RangeError, OutboxUnavailableError, MoveError].some((known) => error instanceof known);
}
