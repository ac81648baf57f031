interface Waiter {
  /** Asks the predicate; returns true when the wait is over. */
  check(): boolean;
  fail(error: Error): void;
}

/** Promises that wait until a predicate holds. `notify` asks all predicates again. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();
  #closed: Error | null = null;

  /** Rejects with `onTimeout()` after `timeoutMs` of real time, with what the predicate throws, or with `close`'s error. */
  wait(predicate: () => boolean, timeoutMs: number, onTimeout: () => Error): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(waiter);
        settle();
      };
      const waiter: Waiter = {
        check: () => {
          try {
            if (!predicate()) return false;
            finish(resolve);
          } catch (error) {
            finish(() => reject(error));
          }
          return true;
        },
        fail: (error) => finish(() => reject(error)),
      };
      const timer = setTimeout(() => waiter.fail(onTimeout()), timeoutMs);
      if (waiter.check()) return;
      if (this.#closed !== null) waiter.fail(this.#closed);
      else this.#waiting.add(waiter);
    });
  }

  notify(): void {
    for (const waiter of [...this.#waiting]) waiter.check();
  }

  close(error: Error): void {
    this.#closed = error;
    for (const waiter of [...this.#waiting]) waiter.fail(error);
  }
}
