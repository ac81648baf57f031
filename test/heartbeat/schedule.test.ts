import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { retryDelayMs } from '../../src/delivery/backoff.ts';
import { untilNextMs, untilRetryMs } from '../../src/heartbeat/heartbeat.ts';

const minutes = (count: number) => count * 60_000;
const time = fc.integer({ min: 0, max: 4e12 });
const interval = fc.integer({ min: 1, max: 1_440 }).map(minutes);

describe('the next row', () => {
  it('is due at the next multiple of the interval since the start', () => {
    const start = Date.UTC(2026, 0, 2);
    for (const [elapsed, expected] of [
      [0, 15],
      [7, 8],
      [13, 2],
      [15, 15],
      [29, 16],
      [1_500_001, 14],
    ] as const) {
      assert.equal(untilNextMs(start, start + minutes(elapsed), minutes(15)), minutes(expected), `${elapsed} minutes`);
    }
  });

  it('is not due again when a timer fired a little early', () => {
    assert.equal(untilNextMs(0, minutes(15) - 1, minutes(15)), minutes(15) + 1);
  });

  it('is never at once and never later than an interval and a tenth, whatever the clock did', () => {
    fc.assert(
      fc.property(time, time, interval, (startedAt, now, intervalMs) => {
        const delayMs = untilNextMs(startedAt, now, intervalMs);
        assert.ok(delayMs >= intervalMs * 0.0999 && delayMs <= intervalMs * 1.1001, String(delayMs));
        assert.ok(Number.isInteger((now + delayMs - startedAt) / intervalMs), 'on the beat of the start');
      }),
    );
  });
});

describe('the next try', () => {
  const retryAfter = fc.option(fc.integer({ min: 0, max: 1e9 }));

  it('comes at the pace of delivery, or with the next row, but not before Azure allows it', () => {
    fc.assert(
      fc.property(fc.nat(50), retryAfter, interval, fc.double({ min: 0, max: 0.999, noNaN: true }), (...values) => {
        const [failures, retryAfterMs, dueMs, jitter] = values;
        const random = () => jitter;
        const delayMs = untilRetryMs({ failures, retryAfterMs, untilNextMs: dueMs, random });
        const pace = retryDelayMs(failures, retryAfterMs, random);
        assert.equal(delayMs, retryAfterMs === null ? Math.min(pace, dueMs) : pace);
        assert.ok(delayMs >= Math.min(retryAfterMs ?? 500, 500) && delayMs <= minutes(15));
      }),
    );
  });

  it('after many failures is at the next row, when that is sooner than 5 minutes', () => {
    const random = () => 0.5;
    assert.equal(untilRetryMs({ failures: 20, retryAfterMs: null, untilNextMs: minutes(1), random }), minutes(1));
    assert.equal(untilRetryMs({ failures: 20, retryAfterMs: minutes(2), untilNextMs: minutes(1), random }), 225_000);
  });
});
