import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { minutesOf, readRules } from './detections.ts';
import { runQuery } from './run/run.ts';
import type { Row } from './run/table.ts';
import { compare, datetimeOf, textOf } from './run/values.ts';

const SAMPLES_URL = new URL('../../deploy/sentinel/Sample%20Data/Rules/', import.meta.url);
const minuteMs = 60_000;

const instant = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/**
 * How often each case is reported when the rule runs on its sample again and again. `arrival`: when a row can be read.
 * `change`: what to make of the sample first.
 */
function reports(
  name: string,
  options: {
    from: string;
    hours: number;
    caseOf: string | readonly string[];
    arrival?: string;
    change?: (sample: string) => string;
  },
): Record<string, number> {
  const rule = readRules().find(({ file }) => file === `${name}.yaml`);
  assert.ok(rule !== undefined);
  const sample = readFileSync(new URL(`${name}.kql`, SAMPLES_URL), 'utf8');
  const { from, hours, caseOf, arrival = 'IngestedAt', change = (text) => text } = options;
  const query = change(`${sample.slice(0, sample.indexOf('let Expected'))}Actual`);
  const counts: Record<string, number> = {};
  for (let minute = 0; minute <= hours * 60; minute += minutesOf(rule.queryFrequency)) {
    const nowMs = Date.parse(from) + minute * minuteMs;
    // Microsoft Sentinel runs the query five minutes after the moment that its now() says.
    const readableUntil = datetimeOf(instant(nowMs + 5 * minuteMs));
    const readable = (row: Row): boolean => (compare(row[arrival] ?? null, readableUntil) ?? -1) <= 0;
    const { rows } = runQuery(
      query.replace(/^set query_now = .*$/m, `set query_now = datetime(${instant(nowMs)});`),
      (all) => all.filter(readable),
    );
    for (const row of rows) {
      const found = [caseOf].flat().map((column) => textOf(row[column] ?? null));
      counts[found.join(' ')] = (counts[found.join(' ')] ?? 0) + 1;
    }
  }
  return counts;
}

describe('a rule that runs again and again', () => {
  it('reports a pair once, when its later half arrives, also during the delay of a run', () => {
    const counts = reports('AponoRejectedThenGranted', {
      from: '2026-11-02T09:25:00Z',
      hours: 0.75,
      caseOf: 'RequestKey',
    });
    assert.deepEqual(counts, { 'AR-9': 1, 'AR-2': 1, 'AR-5': 1, 'AR-12': 1 });
  });

  it('reports a burst of requests once, at a steady rate too, and the next burst again', () => {
    const counts = reports('AponoManyRequests', { from: '2026-11-02T07:15:00Z', hours: 3, caseOf: 'RequesterKey' });
    assert.deepEqual(counts, {
      'hal@example.com': 1,
      'ida@example.com': 2,
      'bo@example.com': 1,
      'ana@example.com': 1,
      'dan@example.com': 1,
      'fay@example.com': 1,
    });
  });

  it('reports failures at a steady rate once', () => {
    const counts = reports('AponoRequestFailedRepeatedly', {
      from: '2026-11-02T01:45:00Z',
      hours: 8.5,
      caseOf: 'RequesterKey',
    });
    assert.deepEqual(counts, { 'joe@example.com': 1, 'ana@example.com': 1 });
  });

  it('reports an integration once for each time that it goes into error', () => {
    const counts = reports('AponoIntegrationInError', {
      from: '2026-11-02T07:00:00Z',
      hours: 4,
      caseOf: 'IntegrationKey',
    });
    assert.deepEqual(counts, { i4: 1, i1: 1, i3: 1, i7: 1, i9: 1, i5: 1 });
  });

  it('reports a grant that never expired once', () => {
    const counts = reports('AponoGrantNeverExpired', { from: '2026-11-02T05:00:00Z', hours: 8, caseOf: 'request_id' });
    assert.deepEqual(counts, { 'AR-3': 1, 'AR-1': 1, 'AR-6': 1, 'AR-4': 1 });
  });

  it('reports each trouble of the feed once for each instance', () => {
    const counts = reports('AponoFeedNeedsAttention', {
      from: '2026-11-02T09:25:00Z',
      hours: 2,
      caseOf: ['Problem', 'InstanceList'],
      arrival: 'TimeGenerated',
    });
    assert.deepEqual(counts, {
      'Credential ends j': 1,
      'Events wait b': 1,
      'Quarantined c, g, k': 1,
      'Outbox silent f': 1,
      'Events wait a, i': 1,
      'Quarantined c': 1,
      'Dead letters d, i': 1,
      'Outbox silent e': 1,
      'Credential ends h, i': 1,
    });
  });

  it('reports a silent feed when the days are over and once a day after it, also where the service was down before', () => {
    // The days are over on the 5th at 09:15.
    const days = (heartbeats: readonly string[]) =>
      reports('AponoFeedSilent', {
        from: '2026-11-02T09:00:00Z',
        hours: 120,
        caseOf: ['QuietSince', 'LastHeartbeatAt'],
        arrival: 'TimeGenerated',
        change: (sample) => {
          const last = /\n {4}"a", datetime\(2026-11-05T09:45:00Z\), (.*)/;
          assert.match(sample, last);
          return sample
            .replace(last, (_all, values: string) =>
              heartbeats.map((time) => `\n    "a", datetime(2026-11-${time}:00Z), ${values}`).join(','),
            )
            .replace(/\| project QuietSince, .*/, '| project QuietSince, LastHeartbeatAt;');
        },
      });
    const found = (...heartbeats: string[]) =>
      Object.fromEntries(
        heartbeats.map((time) => [`2026-11-02T09:15:00.0000000Z 2026-11-${time}:00.0000000Z`, 1] as const),
      );
    assert.deepEqual(days(['05T09:45', '06T09:45', '07T08:45']), found('05T09:45', '06T09:45'));
    assert.deepEqual(days(['05T06:30', '05T11:00', '06T09:45', '07T08:45']), found('06T09:45'));
  });

  it('reports a missing heartbeat when the hour is over and once a day after it', () => {
    const counts = reports('AponoHeartbeatMissing', {
      from: '2026-11-02T08:00:00Z',
      hours: 60,
      caseOf: 'SilentHours',
      arrival: 'TimeGenerated',
    });
    assert.deepEqual(counts, { 1.5: 1, 25.5: 1, 49.5: 1 });
  });

  it('reports no missing heartbeat where none was ever turned on', () => {
    const sample = readFileSync(new URL('AponoHeartbeatMissing.kql', SAMPLES_URL), 'utf8');
    const query = `${sample.slice(0, sample.indexOf('let Expected'))}Actual`;
    assert.deepEqual(runQuery(query, () => []).rows, []);
  });
});
