import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { after, before, test } from 'node:test';
import type { Emulator } from '../../src/emulator/emulator.ts';
import { query } from '../outbox/postgres-fixture.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { assertNothingPrivate } from '../support/log-secrets.ts';
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import {
  SECRET,
  type ServiceProcess,
  serviceEnv,
  serviceFiles,
  startServiceProcess,
} from '../support/service-process.ts';
import { freePort, proxyKinds, startNginx } from './support/proxies.ts';
import { callProxy } from './support/proxy-client.ts';
import { isLong } from './support/random.ts';
import { eventsOf, webhook } from './support/webhooks.ts';

const schema = 'apono_sentinel';
const missing = proxyKinds.find(({ name }) => name === 'nginx')?.missing ?? 'no nginx among the proxies';
const skip = !isLong ? 'LONG=1' : missing;
const rowsPerEvent = 2;
let started: PostgresServer | null = null;
const server = (): PostgresServer => started ?? assert.fail('the server was not started');

before(async () => {
  if (skip === false) started = await startPostgres();
});
after(() => started?.cleanup());

async function numbersOf(sql: string): Promise<number[]> {
  return (await query(server(), sql)).map(({ n }) => Number(n));
}

/** How often each row arrived, by row_id. */
function arrivals(emulator: Emulator): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { row_id: id } of emulator.rows(requestStream)) counts.set(String(id), (counts.get(String(id)) ?? 0) + 1);
  return counts;
}

// test/service/replicas.test.ts has a smaller one without a proxy for each run.
test('three replicas behind nginx: one is killed, all are restarted in turn, no request fails and nothing is lost', {
  skip,
}, async (t) => {
  const emulator = await startTestEmulator(t);
  const files = await serviceFiles(t, emulator);
  const env = { ...serviceEnv(emulator, files), OUTBOX_URL: server().url() };
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const startOn = (port: number): Promise<ServiceProcess> => startServiceProcess(t, { ...env, PORT: String(port) });

  // One before the others, so that its row in the table is known.
  const doomed = await startOn(ports[0]);
  const replicaIds = `SELECT id AS n FROM ${schema}.replicas`;
  await eventually(async () => (await numbersOf(replicaIds)).length === 1);
  const [doomedId = 0] = await numbersOf(replicaIds);
  const replicas = [doomed, await startOn(ports[1]), await startOn(ports[2])];
  const proxy = await startNginx(t, ...ports);

  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const accepted = new Set<string>();
  const failed: string[] = [];
  let sending = true;
  t.after(() => {
    sending = false;
  });
  async function send(sender: number): Promise<void> {
    for (let n = 0; sending && failed.length === 0; n++) {
      const body = webhook(`${sender}-${n}`, rowsPerEvent);
      const headers = { authorization: `Bearer ${SECRET}` };
      const answer = await callProxy(proxy.port, { headers, body, agent });
      if (answer.status !== 200) failed.push(`${answer.status} ${answer.text.slice(0, 200)}`);
      else for (const { event_id } of eventsOf({ ...answer, headers: {} })) accepted.add(event_id);
    }
  }
  // As far away as the real one, so that calls are under way at any moment, and their answers can be lost.
  const slow = { type: 'status', status: 204, processed: true, delayMs: 300 } as const;
  emulator.plan({ target: 'ingest', times: 'forever', answer: slow });
  const senders = Promise.all(Array.from({ length: 8 }, (_, sender) => send(sender)));
  const more = (count: number): Promise<void> => {
    const wanted = accepted.size + count;
    return eventually(
      () => accepted.size >= wanted || failed.length > 0,
      () => [accepted.size, failed],
    );
  };

  await more(300);
  const heldBy = `SELECT count(*) AS n FROM ${schema}.events WHERE holder = ${doomedId}`;
  await eventually(async () => ((await numbersOf(heldBy))[0] ?? 0) > 0);
  doomed.child.kill('SIGKILL');
  await doomed.exited;
  const held = new Set(
    (await query(server(), `SELECT event_id FROM ${schema}.events WHERE holder = ${doomedId}`)).map((row) =>
      String(row['event_id']),
    ),
  );
  await more(200);
  // The lease of a replica is a minute; the test does not wait for it.
  await query(server(), `UPDATE ${schema}.replicas SET alive_until = now() WHERE id = ${doomedId}`);
  replicas[0] = await startOn(ports[0]);
  await more(100);
  for (const [index, port] of ports.entries()) {
    const replica = replicas[index] ?? assert.fail();
    replica.child.kill('SIGTERM');
    assert.deepEqual(await replica.exited, { code: 0, signal: null });
    replicas[index] = await startOn(port);
    await more(100);
  }
  sending = false;
  await senders;
  assert.deepEqual(failed, [], proxy.log().slice(-3_000));

  const waiting = `SELECT count(*) AS n FROM ${schema}.events`;
  await eventually(
    async () => (await numbersOf(waiting))[0] === 0,
    () => numbersOf(waiting),
    60_000,
  );
  const counts = arrivals(emulator);
  const expected = [...accepted].flatMap((id) => Array.from({ length: rowsPerEvent }, (_, index) => `${id}-${index}`));
  assert.deepEqual(
    expected.filter((id) => !counts.has(id)),
    [],
    'nothing is lost',
  );
  assert.equal(counts.size, expected.length, 'and nothing came that was not answered');
  const unexplained = [...counts].filter(([id, count]) => count > 1 && !held.has(id.replace(/-\d+$/, '')));
  assert.deepEqual(unexplained, [], 'twice only what the killed one was sending');
  t.diagnostic(`${accepted.size} accepted, ${held.size} held by the killed one`);
  assertNothingPrivate(proxy.log(), [SECRET]);
});
