import { setTimeout as pause } from 'node:timers/promises';
import { CallError, DamageError, type Engine } from './engine.ts';
import { isOverLimit } from './group.ts';
import { OutboxUnavailableError } from './port.ts';

/** `commit`: events are stored. `settle`: anything else is written. */
export type Operation = 'commit' | 'settle' | 'read';

/** The service has two seconds for all of its end. */
const CLOSE_LIMIT_MS = 500;

/**
 * The one way to the engine. It says in a caller's terms what went wrong, tells of trouble, remembers whether the database
 * takes events, and refuses what comes after the end.
 */
export class Door {
  /** Why the last write failed; null after a commit of events that did not. */
  problem: string | null = null;
  readonly #engine: Engine;
  readonly #onTrouble: (operation: Operation, reason: string, isDamage: boolean) => void;
  readonly #underWay = new Set<Promise<unknown>>();
  /** The failure of one transaction is one trouble, however many calls shared it. */
  readonly #told = new WeakSet<Error>();
  #closed: Promise<void> | null = null;

  constructor(engine: Engine, onTrouble: (operation: Operation, reason: string, isDamage: boolean) => void) {
    this.#engine = engine;
    this.#onTrouble = onTrouble;
  }

  /** Rejects with a RangeError if the call is at fault, otherwise with an OutboxUnavailableError. */
  async ask<T>(operation: Operation, act: () => Promise<T>): Promise<T> {
    if (this.#closed !== null) throw new OutboxUnavailableError('the outbox is closed');
    const run = act();
    this.#underWay.add(run);
    try {
      const value = await run;
      // Another write says nothing of events: a server that runs out of storage takes a settlement and refuses a put.
      if (operation === 'commit') this.problem = null;
      return value;
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      if (error instanceof CallError) throw new RangeError(error.message, { cause: error });
      if (!isOverLimit(error)) this.#tell(operation, error);
      throw new OutboxUnavailableError(error.message, { cause: error });
    } finally {
      this.#underWay.delete(run);
    }
  }

  #tell(operation: Operation, error: Error): void {
    if (operation !== 'read') this.problem = error.message;
    if (this.#told.has(error)) return;
    this.#told.add(error);
    this.#onTrouble(operation, error.message, error instanceof DamageError);
  }

  /** Lets the engine finish what it was asked, and closes it. Twice does nothing. */
  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  async #finish(): Promise<void> {
    await finishedOrLate(this.#underWay);
    await this.#engine.close();
  }
}

/** Waits until all is done, but a database that does not answer must not hold up the end of the process. */
export async function finishedOrLate(running: Iterable<Promise<unknown>>): Promise<void> {
  await Promise.race([Promise.allSettled(running), pause(CLOSE_LIMIT_MS, undefined, { ref: false })]);
}
