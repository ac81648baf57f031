import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Row } from '../../src/sentinel/row.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { drained, healthOf } from './support/health.ts';
import { otherVersion } from './support/other-version.ts';
import { webhook } from './support/webhooks.ts';

const UNITS = 1_000;
const SMALL = 40;

/** What the other version makes of a webhook of ./support/webhooks.ts: [row_id, resource_id] of each row. */
function expectedRows(eventId: string, id: string, units: number): string[] {
  return Array.from({ length: 2 * units }, (_, row) => `${eventId}-${row} ${id}-${units - 1 - (row % units)}`);
}

function describeRow(row: Row): string {
  assert.equal(row['access_flow_name'], 'other version');
  return `${row['row_id']} ${row['resource_id']}`;
}

test('events that wait over an upgrade arrive as the version that accepted them made them', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const before = await startServiceProcess(t, env, await otherVersion(t));
  // Some calls are taken, and then Azure is down.
  emulator.plan({ target: 'ingest', times: 3, answer: { type: 'pass' } });
  emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  const expected: string[] = [];
  const bodies = [
    ...Array.from({ length: SMALL }, (_, n) => ({ id: `small-${n}`, units: 2 })),
    { id: 'large', units: UNITS },
    ...Array.from({ length: SMALL }, (_, n) => ({ id: `later-${n}`, units: 1 })),
  ];
  for (const { id, units } of bodies) {
    const response = await before.post(webhook(id, units));
    const { event_id: eventId, rows } = (await response.json()) as { event_id: string; rows: number };
    assert.deepEqual([response.status, rows], [200, 2 * units]);
    expected.push(...expectedRows(eventId, id, units));
  }
  await eventually(() => emulator.rowCount(requestStream) > 0);
  before.child.kill('SIGKILL');
  await before.exited;
  assert.ok(emulator.rowCount(requestStream) < expected.length, 'some of them wait');
  emulator.clearPlan('ingest');
  const after = await startServiceProcess(t, env);
  await drained(after.port);
  // What was under way at the kill may come twice.
  const arrived = new Set(emulator.rows(requestStream).map(describeRow));
  assert.deepEqual([...arrived].sort(), expected.sort());
  assert.equal((await healthOf(after.port)).outbox.dead, 0);
});
