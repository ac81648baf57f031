import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits until the condition holds. Looks again after 5 ms at first and every 50 ms at last, since a look may cost a request
 * or a query. Fails with what `describe` says after `limitMs` of real time, which is generous because machines are slow,
 * not because anything should take that long.
 */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  describe: () => unknown = () => condition.toString(),
  limitMs = 120_000,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (let pauseMs = 5; !(await condition()); pauseMs = Math.min(50, pauseMs * 1.5)) {
    if (performance.now() > deadline) assert.fail(`did not come true: ${JSON.stringify(await describe())}`);
    await pause(pauseMs);
  }
}
