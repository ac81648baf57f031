import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Row } from '../../src/sentinel/row.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startPostgres } from '../support/postgres-server.ts';
import { startService } from '../support/service.ts';
import { type Service, serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { drained, healthOf } from './support/health.ts';
import { OTHER_FLOW, otherVersion } from './support/other-version.ts';
import { webhook } from './support/webhooks.ts';

const UNITS = 1_000;
const SMALL = 40;

/** What each version makes of a webhook of ./support/webhooks.ts: row_id, resource_id and access_flow_name of each row. */
const rowsOf = {
  this: (eventId: string, id: string, units: number): string[] =>
    Array.from({ length: units }, (_, row) => `${eventId}-${row} ${id}-${row} null`),
  other: (eventId: string, id: string, units: number): string[] =>
    Array.from({ length: 2 * units }, (_, row) => `${eventId}-${row} ${id}-${units - 1 - (row % units)} ${OTHER_FLOW}`),
};

const describeRow = (row: Row): string => `${row['row_id']} ${row['resource_id']} ${row['access_flow_name']}`;

/** Sends small events and one of 1,000 units. Returns the rows that this version of the service must deliver for them. */
async function sendMany(service: Service, version: keyof typeof rowsOf, prefix: string): Promise<string[]> {
  const bodies = [
    ...Array.from({ length: SMALL }, (_, n) => ({ id: `${prefix}-small-${n}`, units: 2 })),
    { id: `${prefix}-large`, units: UNITS },
    ...Array.from({ length: SMALL }, (_, n) => ({ id: `${prefix}-later-${n}`, units: 1 })),
  ];
  const expected: string[] = [];
  for (const { id, units } of bodies) {
    const response = await service.post(webhook(id, units));
    const { event_id: eventId, rows } = (await response.json()) as { event_id: string; rows: number };
    const own = rowsOf[version](eventId, id, units);
    assert.deepEqual([response.status, rows], [200, own.length]);
    expected.push(...own);
  }
  return expected;
}

/** Azure takes some calls, and is down from then on. */
async function startFailingAzure(t: TestContext): Promise<Emulator> {
  const emulator = await startTestEmulator(t);
  emulator.plan({ target: 'ingest', times: 3, answer: { type: 'pass' } });
  emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  return emulator;
}

/** Each row as it was made; what was under way at a kill may come twice. */
async function assertAllArrive(emulator: Emulator, { port }: Service, expected: readonly string[]) {
  assert.ok(emulator.rowCount(requestStream) < expected.length, 'some of them wait');
  emulator.clearPlan('ingest');
  await drained(port, 120_000);
  const arrived = new Set(emulator.rows(requestStream).map(describeRow));
  assert.deepEqual([...arrived].sort(), expected.toSorted());
  assert.equal((await healthOf(port)).outbox.dead, 0);
}

test('events that wait over an upgrade arrive as the version that accepted them made them', async (t) => {
  const emulator = await startFailingAzure(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const before = await startServiceProcess(t, env, await otherVersion(t));
  const expected = await sendMany(before, 'other', 'a');
  await eventually(() => emulator.rowCount(requestStream) > 0);
  before.child.kill('SIGKILL');
  await before.exited;
  await assertAllArrive(emulator, await startService(t, env), expected);
});

test('two replicas of different versions on one database each deliver rows as they were made, also those of the other', async (t) => {
  const database = await startPostgres();
  t.after(() => database.cleanup());
  const emulator = await startFailingAzure(t);
  const env = { ...serviceEnv(emulator, await serviceFiles(t, emulator)), OUTBOX_URL: database.url() };
  const [before, after] = await Promise.all([startServiceProcess(t, env, await otherVersion(t)), startService(t, env)]);
  const expected = [...(await sendMany(before, 'other', 'a')), ...(await sendMany(after, 'this', 'b'))];
  await eventually(() => emulator.rowCount(requestStream) > 0);
  before.child.kill('SIGTERM');
  assert.deepEqual(await before.exited, { code: 0, signal: null });
  await assertAllArrive(emulator, after, expected);
});
