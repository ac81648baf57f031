import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Emulator } from '../../src/emulator/emulator.ts';
import { isLong } from '../faults/support/random.ts';
import { query } from '../outbox/postgres-fixture.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { type ServiceProcess, serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';

type Json = Record<string, unknown>;

const schema = 'apono_sentinel';
let started: PostgresServer | null = null;
const server = (): PostgresServer => started ?? assert.fail('the server was not started');

before(async () => {
  started = await startPostgres();
});
after(() => started?.cleanup());

const event = (id: string) =>
  JSON.stringify({ event_type: 'RequestGranted', event_time: Date.now() / 1000, data: { id } });

const waiting = async (): Promise<number> =>
  Number((await query(server(), `SELECT count(*) AS n FROM ${schema}.events`))[0]?.['n']);

/** The rows that arrived, counted by row_id. */
function arrivals(emulator: Emulator): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { row_id: id } of emulator.rows(requestStream)) counts.set(String(id), (counts.get(String(id)) ?? 0) + 1);
  return counts;
}

/** What was answered with 200, by the event_id. What was not is sent again, as Apono's users do, to another replica. */
class Senders {
  readonly accepted = new Set<string>();
  readonly #replicas: () => readonly ServiceProcess[];
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(replicas: () => readonly ServiceProcess[]) {
    this.#replicas = replicas;
  }

  start(prefix: string): void {
    this.#stopped = false;
    const sender = async (name: string): Promise<void> => {
      for (let n = 0; !this.#stopped; n++) await this.send(event(`${prefix}-${name}-${n}`), n);
    };
    this.#running = Promise.all(['a', 'b', 'c', 'd'].map(sender));
  }

  async send(body: string, first: number): Promise<Json> {
    for (let tries = 0; tries < 200; tries++) {
      const replicas = this.#replicas();
      const response = await replicas[(first + tries) % replicas.length]?.post(body).catch(() => null);
      if (response?.status === 200) {
        const answer = (await response.json()) as Json;
        this.accepted.add(String(answer['event_id']));
        return answer;
      }
      await pause(20);
    }
    return assert.fail('no replica took the event');
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }
}

test('three replicas on one database: one is killed, one is replaced, nothing is lost and no row comes twice without a reason', async (t) => {
  const emulator = await startTestEmulator(t);
  const files = await serviceFiles(t, emulator);
  const env = { ...serviceEnv(emulator, files), OUTBOX_URL: server().url() };
  const idsOfReplicas = async (): Promise<number[]> =>
    (await query(server(), `SELECT id FROM ${schema}.replicas ORDER BY id`)).map(({ id }) => Number(id));

  // One after the other, so that the test knows which row in the table is whose.
  let doomed = await startServiceProcess(t, env);
  await eventually(async () => (await idsOfReplicas()).length === 1);
  const [doomedId = 0] = await idsOfReplicas();
  let others = await Promise.all([startServiceProcess(t, env), startServiceProcess(t, env)]);
  let replicas: readonly ServiceProcess[] = [doomed, ...others];
  const senders = new Senders(() => replicas);

  // The same event at the same moment by all of them.
  const same = event('same');
  const answers = await Promise.all(replicas.map(async (each) => (await (await each.post(same)).json()) as Json));
  assert.deepEqual(answers.map((answer) => answer['duplicate']).toSorted(), [false, true, true]);
  senders.accepted.add(String(answers[0]?.['event_id']));

  senders.start('before');
  await eventually(() => senders.accepted.size > 100);
  const killed = doomed;
  killed.child.kill('SIGKILL');
  await killed.exited;
  replicas = others;
  const held = (await query(server(), `SELECT event_id FROM ${schema}.events WHERE holder = ${doomedId}`)).map((row) =>
    String(row['event_id']),
  );
  const atKill = senders.accepted.size;
  await eventually(() => senders.accepted.size > atKill + 50);
  // The lease of a replica is a minute; the test does not wait for it.
  await query(server(), `UPDATE ${schema}.replicas SET alive_until = now() WHERE id = ${doomedId}`);

  // A rolling replacement: a new one comes, an old one is stopped as Kubernetes does.
  doomed = await startServiceProcess(t, env);
  const [leaving, staying] = others;
  assert(leaving !== undefined && staying !== undefined);
  replicas = [doomed, staying];
  leaving.child.kill('SIGTERM');
  assert.deepEqual(await leaving.exited, { code: 0, signal: null });
  others = [staying, doomed];
  await eventually(() => senders.accepted.size > atKill + 100);
  await senders.stop();

  await eventually(async () => (await waiting()) === 0, waiting, 60_000);
  const counts = arrivals(emulator);
  const arrived = new Set([...counts.keys()].map((id) => id.replace(/-\d+$/, '')));
  assert.deepEqual(
    [...senders.accepted].filter((id) => !arrived.has(id)),
    [],
    'nothing is lost',
  );
  const twice = [...counts].filter(([, count]) => count > 1).map(([id]) => id);
  const explained = twice.filter((id) => held.includes(id.replace(/-\d+$/, '')));
  assert.deepEqual(twice, explained, 'only what the killed one had sent and could not write down any more');
  const health = (await (await fetch(staying.url('/healthz'))).json()) as Json;
  assert.deepEqual([health['status'], (health['outbox'] as Json)['waiting']], ['ok', 0]);
});

// The engine's own tests have the same faults in less time (test/outbox/postgres-*.test.ts).
test('the database goes away and comes back: 503 meanwhile, and everything that was answered arrives once', {
  skip: !isLong && 'LONG=1',
}, async (t) => {
  await query(server(), `DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  const emulator = await startTestEmulator(t);
  const files = await serviceFiles(t, emulator);
  const env = { ...serviceEnv(emulator, files), OUTBOX_URL: server().url() };
  const replicas = await Promise.all([startServiceProcess(t, env), startServiceProcess(t, env)]);
  const senders = new Senders(() => replicas);
  senders.start('load');
  await eventually(() => senders.accepted.size > 50);
  await server().stop('immediate');
  const [first] = replicas;
  const refused = await first?.post(event('refused'));
  assert.deepEqual([refused?.status, refused?.headers.has('retry-after')], [503, true]);
  assert.equal((await fetch(first?.url('/readyz') ?? '')).status, 503);
  assert.equal((await fetch(first?.url('/livez') ?? '')).status, 200);
  const atStop = senders.accepted.size;
  await server().start();
  await eventually(() => senders.accepted.size > atStop + 50);
  await senders.stop();
  await eventually(async () => (await waiting()) === 0, waiting, 60_000);
  const counts = arrivals(emulator);
  const arrived = new Set([...counts.keys()].map((id) => id.replace(/-\d+$/, '')));
  assert.deepEqual(
    [...senders.accepted].filter((id) => !arrived.has(id)),
    [],
  );
  assert.deepEqual(
    [...counts].filter(([, count]) => count > 1),
    [],
  );
  await eventually(async () => (await fetch(first?.url('/readyz') ?? '')).status === 200);
  const codes = first?.logs.map(({ code }) => code);
  assert(codes?.includes('outbox_unwritable') && codes.includes('outbox_writable'));
});

test('over-limit ingestion that one replica sees slows all of them, and one tries again for all', {
  skip: !isLong && 'LONG=1',
}, async (t) => {
  await query(server(), `DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  const emulator = await startTestEmulator(t);
  const files = await serviceFiles(t, emulator);
  const env = { ...serviceEnv(emulator, files), OUTBOX_URL: server().url() };
  const [a, b, c] = await Promise.all(Array.from({ length: 3 }, () => startServiceProcess(t, env)));
  assert(a !== undefined && b !== undefined && c !== undefined);
  const calls = (): number => emulator.requests.filter(({ kind }) => kind === 'ingest').length;
  const resting = async (): Promise<boolean> => (await query(server(), `SELECT FROM ${schema}.paces`)).length === 1;
  emulator.plan({
    target: 'ingest',
    times: 'forever',
    answer: { type: 'status', status: 429, headers: { 'retry-after': '60' } },
  });
  await a.post(event('one'));
  await eventually(resting);
  // A call that another replica had begun before it could know.
  await eventually(() => emulator.requests.every(({ outcome }) => outcome !== 'pending'));
  const seen = calls();
  for (const [n, each] of [a, b, c, b, c].entries()) await each.post(event(`later-${n}`));
  // Twenty times as long as a row waits for company.
  const until = performance.now() + 1_000;
  await eventually(() => performance.now() > until);
  assert.equal(calls(), seen, 'nobody asks Azure while all rest');
  emulator.clearPlan();
  await query(server(), `UPDATE ${schema}.paces SET rests_until = now()`);
  await eventually(async () => (await waiting()) === 0, waiting, 30_000);
  assert.equal(emulator.rowCount(requestStream), 6);
  assert.equal(await resting(), false);
});
