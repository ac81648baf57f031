import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { query } from '../outbox/postgres-fixture.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';

// What replicas do when one of them, or the database, fails: test/faults/replicas.test.ts, behind nginx.

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
  Number((await query(server(), `SELECT count(*) AS n FROM ${schema}.events WHERE delivered_at IS NULL`))[0]?.['n']);

test('three replicas on one database store what all of them get once, and rest together when Azure asks one of them until an operator asks any', async (t) => {
  const emulator = await startTestEmulator(t);
  const files = await serviceFiles(t, emulator);
  const env = { ...serviceEnv(emulator, files), OUTBOX_URL: server().url() };
  // All at once, on an empty database.
  const replicas = await Promise.all(Array.from({ length: 3 }, () => startServiceProcess(t, env)));

  const same = event('same');
  const answers = await Promise.all(replicas.map(async (each) => (await (await each.post(same)).json()) as Json));
  assert.deepEqual(answers.map(({ duplicate }) => duplicate).toSorted(), [false, true, true]);
  await eventually(async () => (await waiting()) === 0, waiting);
  assert.equal(emulator.rowCount(requestStream), 1);

  const calls = (): number => emulator.requests.filter(({ kind }) => kind === 'ingest').length;
  const resting = async (): Promise<boolean> => (await query(server(), `SELECT FROM ${schema}.paces`)).length === 1;
  emulator.plan({
    target: 'ingest',
    times: 'forever',
    answer: { type: 'status', status: 429, headers: { 'retry-after': '60' } },
  });
  await replicas[0]?.post(event('one'));
  await eventually(resting);
  // A call that another replica had begun before it could know.
  await eventually(() => emulator.requests.every(({ outcome }) => outcome !== 'pending'));
  const seen = calls();
  for (const [n, index] of [0, 1, 2, 1, 2].entries()) await replicas[index]?.post(event(`later-${n}`));
  // Twenty times as long as a row waits for company.
  const until = performance.now() + 1_000;
  await eventually(() => performance.now() > until);
  assert.equal(calls(), seen, 'nobody asks Azure while all rest');
  emulator.clearPlan();
  // At a replica that Azure did not ask to rest.
  const answer = await fetch(`http://127.0.0.1:${replicas[2]?.adminPort}/admin/v1/outbox/retry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  assert.deepEqual(
    [answer.status, await answer.json()],
    [200, { resumed: [{ kind: 'request', stream: requestStream, code: null }] }],
  );
  await eventually(async () => (await waiting()) === 0, waiting);
  assert.equal(emulator.rowCount(requestStream), 7);
  await eventually(async () => !(await resting()));
});
