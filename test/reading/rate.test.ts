import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRate } from '../../src/reading/rate.ts';
import { manualClock } from '../support/manual-clock.ts';

function countTimes(isBusy: () => boolean, times: number): boolean[] {
  return Array.from({ length: times }, isBusy);
}

test('is over the limit from the first one above it to the end of the next second', () => {
  const clock = manualClock();
  const isBusy = createRate(clock, 3);
  assert.deepEqual(countTimes(isBusy, 5), [false, false, false, true, true]);
  clock.advance(1_000);
  assert.equal(isBusy(), true);
  clock.advance(999);
  assert.equal(isBusy(), true);
  clock.advance(1);
  assert.equal(isBusy(), false);
});

test('is not, however many came a while ago, or over a longer time', () => {
  const clock = manualClock();
  const isBusy = createRate(clock, 3);
  countTimes(isBusy, 100);
  clock.advance(2_000);
  for (let second = 0; second < 5; second++) {
    assert.deepEqual(countTimes(isBusy, 3), [false, false, false]);
    clock.advance(1_000);
  }
});

test('a clock that is set back begins anew', () => {
  const clock = manualClock();
  const isBusy = createRate(clock, 3);
  clock.set(clock.now() - 3_600_000);
  assert.deepEqual(countTimes(isBusy, 4), [false, false, false, true]);
  clock.advance(2_000);
  assert.equal(isBusy(), false);
});
