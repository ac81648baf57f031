import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits until the condition holds, looking every few milliseconds; fails with what `describe` says after `limitMs` of
 * real time, which is generous because machines are slow, not because anything should take that long.
 */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  describe: () => unknown = () => condition.toString(),
  limitMs = 120_000,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > deadline) assert.fail(`did not come true: ${JSON.stringify(await describe())}`);
    await pause(5);
  }
}
