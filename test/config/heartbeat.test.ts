import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { variables } from '../../src/config/variables.ts';
import { heartbeatDefaultStream, heartbeatStreamVariable } from '../../src/heartbeat/row.ts';
import { configOf, problemsOf, warningsOf } from './support.ts';

describe('the heartbeat', () => {
  it('is off by default, with a stream that is that of its table', () => {
    const { heartbeat } = configOf();
    assert.deepEqual(heartbeat, { stream: heartbeatDefaultStream, isDefaultStream: true, intervalMs: 0 });
    assert.equal(variables[heartbeatStreamVariable].default, heartbeatDefaultStream);
  });

  it('has an interval in minutes and a stream, both frozen', () => {
    const { heartbeat } = configOf({
      HEARTBEAT_INTERVAL_MINUTES: '15',
      LOGS_INGESTION_STREAM_HEARTBEAT: 'Custom-Mine',
    });
    assert.deepEqual(heartbeat, { stream: 'Custom-Mine', isDefaultStream: false, intervalMs: 900_000 });
    assert.ok(Object.isFrozen(heartbeat));
    assert.deepEqual(warningsOf({ HEARTBEAT_INTERVAL_MINUTES: '15' }), {});
  });

  for (const value of ['often', '-1', '0.5', '1441']) {
    it(`refuses ${value} as its interval`, () => {
      assert.match(problemsOf({ HEARTBEAT_INTERVAL_MINUTES: value })['HEARTBEAT_INTERVAL_MINUTES'] ?? '', /0 to 1440/);
    });
  }

  it('is none with its stream off, which is a warning when there is an interval', () => {
    const off = { LOGS_INGESTION_STREAM_HEARTBEAT: 'off' };
    assert.equal(configOf(off).heartbeat, null);
    assert.deepEqual(warningsOf(off), {});
    const warnings = warningsOf({ ...off, HEARTBEAT_INTERVAL_MINUTES: '15' });
    assert.deepEqual(Object.keys(warnings), ['HEARTBEAT_INTERVAL_MINUTES']);
    assert.match(warnings['HEARTBEAT_INTERVAL_MINUTES'] ?? '', /LOGS_INGESTION_STREAM_HEARTBEAT is off/);
  });

  it('warns of a stream to which nothing is sent, unless it is the default spelt out', () => {
    const warnings = warningsOf({ LOGS_INGESTION_STREAM_HEARTBEAT: 'Custom-Mine' });
    assert.deepEqual(Object.keys(warnings), ['LOGS_INGESTION_STREAM_HEARTBEAT']);
    assert.match(warnings['LOGS_INGESTION_STREAM_HEARTBEAT'] ?? '', /HEARTBEAT_INTERVAL_MINUTES is 0/);
    assert.deepEqual(warningsOf({ LOGS_INGESTION_STREAM_HEARTBEAT: heartbeatDefaultStream }), {});
    assert.equal(
      configOf({ LOGS_INGESTION_STREAM_HEARTBEAT: heartbeatDefaultStream }).heartbeat?.isDefaultStream,
      false,
    );
  });

  it('warns of a stream that it shares with events', () => {
    const warnings = warningsOf({
      HEARTBEAT_INTERVAL_MINUTES: '1',
      LOGS_INGESTION_STREAM: 'Custom-All',
      LOGS_INGESTION_STREAM_HEARTBEAT: 'Custom-All',
    });
    assert.match(warnings['LOGS_INGESTION_STREAM_HEARTBEAT'] ?? '', /stream of LOGS_INGESTION_STREAM too/);
  });
});
