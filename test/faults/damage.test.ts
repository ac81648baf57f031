import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { run } from '../support/command.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { startService } from '../support/service.ts';
import { type Service, serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { drained } from './support/health.ts';
import { keepLedger } from './support/ledger.ts';
import { idColumns } from './support/streams.ts';
import { eventsOf, postOnce, webhook } from './support/webhooks.ts';

const PAGE = 4096;

async function send(t: TestContext, port: number, ...names: readonly string[]): Promise<string[]> {
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const ids: string[] = [];
  for (const name of names) {
    const answer = await postOnce(agent, port, webhook(name));
    assert.equal(answer.status, 200, answer.text);
    ids.push(...eventsOf(answer).map(({ event_id }) => event_id));
  }
  return ids;
}

/** As a bad sector does: one page of the file reads as something else. */
function breakPageOf(file: string, table: string): void {
  const db = new DatabaseSync(file, { readOnly: true });
  const root = Number(db.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').get(table)?.['rootpage']);
  db.close();
  writeFileSync(file, readFileSync(file).fill(0xa5, (root - 1) * PAGE, root * PAGE));
}

async function healthz(service: Service): Promise<Record<string, unknown>> {
  const response = await fetch(service.url('/healthz'));
  return { code: response.status, ...((await response.json()) as Record<string, unknown>) };
}

test('a damaged database is set aside at the start, loudly until it is salvaged, and nothing is lost', async (t) => {
  const emulator = await startTestEmulator(t, { streams: { [requestStream]: idColumns } });
  const ledger = keepLedger(emulator);
  ledger.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  const files = await serviceFiles(t, emulator);
  const env = serviceEnv(emulator, files);
  const first = await startServiceProcess(t, env);
  const accepted = await send(t, first.port, 'before-1', 'before-2', 'before-3');
  // Killed, so that the events lie in the write-ahead log beside the damaged file, and nowhere else.
  first.child.kill('SIGKILL');
  await first.exited;
  assert(statSync(path.join(files.dataDir, 'outbox.db-wal')).size > 0);
  breakPageOf(path.join(files.dataDir, 'outbox.db'), 'quarantine');

  const second = await startService(t, env);
  const line = second.logs.find(({ code }) => code === 'outbox_damaged');
  assert.equal(line?.['level'], 'error');
  const damagedFile = String(line?.['damagedFile']);
  assert.match(path.basename(damagedFile), /^outbox\.db\.damaged-\d{4}-\d\d-\d\dT[\d-]+\.\d{3}Z$/);
  assert.equal(existsSync(damagedFile), true);
  const health = await healthz(second);
  assert.deepEqual([health['code'], health['status'], health['damaged_file']], [200, 'degraded', damagedFile]);
  assert(JSON.stringify(health['problems']).includes(damagedFile));
  assert.equal((await fetch(second.url('/readyz'))).status, 200, 'new events are taken');
  // One of those that were lost comes again, and a new one.
  accepted.push(...(await send(t, second.port, 'before-2', 'after')));
  await second.stop();

  const third = await startService(t, env);
  assert.equal((await healthz(third))['damaged_file'], damagedFile, 'a restart does not end the alarm');
  await third.stop();

  const salvage = await run(['outbox', 'salvage', damagedFile, '--json'], env);
  assert.equal(salvage.exitCode, 0, salvage.stderr);
  assert.deepEqual(JSON.parse(salvage.stdout), { recovered: 2, duplicate: 1, unreadable: 0, identities: 0 });

  const fourth = await startService(t, env);
  ledger.plan();
  await drained(fourth.port);
  const calm = await healthz(fourth);
  assert.deepEqual([calm['code'], calm['damaged_file']], [200, null]);
  const arrived = [...ledger.storedBy()].map(([rowId, calls]) => [rowId.replace(/-0$/, ''), calls.length]);
  assert.deepEqual(new Map(arrived as [string, number][]), new Map(accepted.map((id) => [id, 1])));
});

test('one bit that flips in the write-ahead log loses no acknowledged event, and raises the alarm', async (t) => {
  const emulator = await startTestEmulator(t, { streams: { [requestStream]: idColumns } });
  const ledger = keepLedger(emulator);
  ledger.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  const files = await serviceFiles(t, emulator);
  const env = serviceEnv(emulator, files);
  const first = await startServiceProcess(t, env);
  const accepted = await send(t, first.port, ...Array.from({ length: 40 }, (_, n) => `flipped-${n}`));
  first.child.kill('SIGKILL');
  await first.exited;
  const log = path.join(files.dataDir, 'outbox.db-wal');
  const bytes = readFileSync(log);
  const at = Math.floor(bytes.length / 3);
  writeFileSync(log, bytes.fill(bytes.readUInt8(at) ^ 4, at, at + 1));

  const second = await startService(t, env);
  const health = await healthz(second);
  const damagedFile = String(health['damaged_file']);
  assert.deepEqual([health['code'], health['status']], [200, 'degraded']);
  assert(second.logs.some(({ code }) => code === 'outbox_damaged'));
  assert.equal(existsSync(`${damagedFile}-wal`), true, 'database and log are set aside together');
  await second.stop();
  const salvage = await run(['outbox', 'salvage', damagedFile, '--json'], env);
  assert.equal(JSON.parse(salvage.stdout).recovered, 40, salvage.stderr);

  const third = await startService(t, env);
  ledger.plan();
  await drained(third.port);
  assert.equal((await healthz(third))['damaged_file'], null);
  const arrived = [...ledger.storedBy()].map(([rowId, calls]) => [rowId.replace(/-0$/, ''), calls.length]);
  assert.deepEqual(new Map(arrived as [string, number][]), new Map(accepted.map((id) => [id, 1])));
});

test('a file that is no database at all is set aside too, and the service starts', async (t) => {
  const emulator = await startTestEmulator(t, { streams: { [requestStream]: idColumns } });
  const files = await serviceFiles(t, emulator);
  const env = serviceEnv(emulator, files);
  await (await startService(t, env)).stop();
  writeFileSync(path.join(files.dataDir, 'outbox.db'), 'this is not a database. '.repeat(1_000));
  const service = await startService(t, env);
  assert.equal((await healthz(service))['status'], 'degraded');
  await send(t, service.port, 'taken');
  await drained(service.port);
});
