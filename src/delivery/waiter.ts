import type { Clock } from '../ground/clock.ts';

export interface Waiter {
  /** Resolves after `delayMs`, as soon as `condition` holds (looked at now and at each `look`), or when closed. */
  until(delayMs: number, condition: () => boolean): Promise<void>;
  /** Something may have changed. */
  look(): void;
  /** Ends every wait, now and later. */
  close(): void;
}

/** Waiting that owns its timers, for a loop that must be able to end at once. */
export function createWaiter(clock: Clock): Waiter {
  const looks = new Set<() => void>();
  let closed = false;

  function until(delayMs: number, condition: () => boolean): Promise<void> {
    if (closed || condition()) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = () => {
      cancel();
      looks.delete(look);
      resolve();
    };
    const look = () => {
      if (closed || condition()) done();
    };
    const cancel = clock.setTimer(delayMs, done);
    looks.add(look);
    return promise;
  }

  function lookAll(): void {
    for (const look of [...looks]) look();
  }

  return {
    until,
    look: lookAll,
    close() {
      closed = true;
      lookAll();
    },
  };
}
