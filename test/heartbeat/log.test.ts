import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLogger } from '../../src/ground/log.ts';
import { type FailingHeartbeat, logHeartbeat } from '../../src/heartbeat/heartbeat.ts';
import { manualClock } from '../support/manual-clock.ts';

function create() {
  const clock = manualClock();
  const levels: unknown[] = [];
  const log = createLogger('debug', { write: (line) => void levels.push(JSON.parse(line).level) });
  const observer = logHeartbeat(log, clock, 'Custom-Heartbeat');
  const failing = (outcome: FailingHeartbeat['outcome']): FailingHeartbeat => ({
    outcome,
    since: clock.now(),
    reason: 'Azure answered',
    fix: 'Mend it.',
    retryAfterMs: null,
    clientRequestId: null,
  });
  return { clock, levels, observer, failing };
}

describe('the log of the heartbeat', () => {
  it('has one line a minute while it fails, whatever the reason changes to and fro', () => {
    const { clock, levels, observer, failing } = create();
    for (const outcome of ['retry', 'hold', 'retry', 'hold', 'retry'] as const) observer.failed(failing(outcome));
    assert.deepEqual(levels, ['warn', 'error', 'debug', 'debug', 'debug']);
    clock.advance(59_999);
    observer.failed(failing('hold'));
    clock.advance(1);
    observer.failed(failing('hold'));
    assert.deepEqual(levels.slice(5), ['debug', 'error']);
  });

  it('begins anew when it has worked in between', () => {
    const { levels, observer, failing } = create();
    const failure = failing('retry');
    observer.failed(failure);
    observer.sent(failure);
    observer.sent(null);
    observer.failed(failure);
    assert.deepEqual(levels, ['warn', 'info', 'debug', 'warn']);
  });

  it('does not fall silent for a day because the clock was set back by one', () => {
    const { clock, levels, observer, failing } = create();
    observer.failed(failing('hold'));
    clock.set(clock.now() - 86_400_000);
    observer.failed(failing('hold'));
    observer.failed(failing('hold'));
    assert.deepEqual(levels, ['error', 'error', 'debug']);
  });
});
