import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createTimeLimit } from '../../src/http/time-limit.ts';
import { manualClock } from '../support/manual-clock.ts';

test('whoever waits is late after the limit or up to a tenth earlier, and no timer is left behind', () => {
  const limitMs = 30_000;
  // When each begins to wait, and for how long unless it is late.
  const waiter = fc.record({ fromMs: fc.nat(90_000), forMs: fc.nat(60_000) });
  fc.assert(
    fc.property(fc.array(waiter, { minLength: 1, maxLength: 20 }), (waiters) => {
      const clock = manualClock(0);
      const limit = createTimeLimit(limitMs, clock);
      const lateAfterMs = waiters.map(() => Number.NaN);
      const steps = waiters.flatMap(({ fromMs, forMs }, index) => {
        const onLate = (): void => {
          lateAfterMs[index] = clock.now() - fromMs;
        };
        return [
          { atMs: fromMs, run: () => limit.start(onLate) },
          { atMs: fromMs + forMs, run: () => limit.end(onLate) },
        ];
      });
      for (const { atMs, run } of steps.toSorted((a, b) => a.atMs - b.atMs)) {
        clock.advance(atMs - clock.now());
        run();
      }
      for (const [index, { forMs }] of waiters.entries()) {
        const after = lateAfterMs[index] as number;
        if (forMs > limitMs) assert.ok(after <= limitMs && after >= 0.9 * limitMs, `${after} ms`);
        else if (forMs < 0.9 * limitMs) assert.ok(Number.isNaN(after), `${after} ms`);
      }
      assert.equal(clock.timerCount, 0);
    }),
  );
});

test('who waits alone is late exactly after the limit', () => {
  const clock = manualClock();
  const limit = createTimeLimit(100, clock);
  let late = false;
  limit.start(() => {
    late = true;
  });
  clock.advance(99);
  assert.equal(late, false);
  clock.advance(1);
  assert.equal(late, true);
});

test('one that ends while another is told that it is late is not told so itself', () => {
  const clock = manualClock();
  const limit = createTimeLimit(30_000, clock);
  let late = 0;
  const second = (): void => {
    late += 1;
  };
  limit.start(() => limit.end(second));
  limit.start(second);
  clock.advance(60_000);
  assert.equal(late, 0);
  assert.equal(clock.timerCount, 0);
});
