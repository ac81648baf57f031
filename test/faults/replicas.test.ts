import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { DEFAULT_SCHEMA } from '../../src/outbox/postgres/database.ts';
import { SCHEMA_VERSION } from '../../src/outbox/postgres/schema.ts';
import { query } from '../outbox/postgres-fixture.ts';
import { requestStream } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { assertNothingPrivate } from '../support/log-secrets.ts';
import { SECRET } from '../support/service-process.ts';
import { AZURE_DELAY_MS, type Fleet, type Replica, ROWS, startFleet, startLoad } from './support/fleet.ts';
import { nginxMissing, startReplicasNginx } from './support/proxies.ts';
import { callProxy } from './support/proxy-client.ts';
import { isLong } from './support/random.ts';
import { webhook } from './support/webhooks.ts';

/** How many events pass between one thing that happens and the next. */
const SOME = isLong ? 1_000 : 30;
const TIMES = isLong ? 5 : 1;
const ALL = [0, 1, 2] as const;

interface Answer {
  readonly status: number;
  readonly retryAfter: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function answerOf(asked: Promise<Response>): Promise<Answer> {
  const response = await asked;
  const retryAfter = Number(response.headers.get('retry-after'));
  return { status: response.status, retryAfter, body: (await response.json()) as Answer['body'] };
}

const ask = ({ service }: Replica, path: string) => answerOf(fetch(service.url(path)));
const post = ({ service }: Replica, body: string) => answerOf(service.post(body));

/** A replica that cannot reach the database says so to whoever asks, and lives. */
async function assertAway(replica: Replica, name: string): Promise<void> {
  const [refused, ready, live] = await Promise.all([
    post(replica, webhook(`${name} refused`)),
    ask(replica, '/readyz'),
    ask(replica, '/livez'),
  ]);
  assert.deepEqual([refused.status, refused.body['code'], refused.retryAfter > 0], [503, 'outbox_unavailable', true]);
  assert.deepEqual([ready.status, ready.retryAfter > 0], [503, true]);
  assert.equal(live.status, 200);
}

const untilReady = (replica: Replica) => eventually(async () => (await ask(replica, '/readyz')).status === 200);

/** Waits until calls of this replica are under way: it holds their events. */
const untilSending = (fleet: Fleet, replica: Replica) =>
  eventually(async () => (await fleet.heldBy(replica)).length > 0);

/** What it holds is free for the others, and taken by them. Which events that are. */
async function takenFrom(fleet: Fleet, replica: Replica): Promise<Set<string>> {
  const held = await fleet.heldBy(replica);
  await fleet.endLease(replica);
  await eventually(async () => (await fleet.heldBy(replica)).length === 0);
  return new Set(held);
}

/** The ids of the events that it holds then. */
async function cutWhileSending(fleet: Fleet, replica: Replica): Promise<ReadonlySet<string>> {
  for (;;) {
    await untilSending(fleet, replica);
    replica.way.cut();
    await assertAway(replica, 'silence');
    const held = await fleet.heldBy(replica);
    if (held.length > 0) return new Set(held);
    // It wrote down what became of its calls just before.
    await replica.way.heal();
    await untilReady(replica);
  }
}

/** Those of the events that another replica holds now, with the tokens of its claims. */
function heldByAnother(fleet: Fleet, { id }: Replica, eventIds: ReadonlySet<string>) {
  const ids = [...eventIds].map((each) => `'${each}'`).join(', ');
  return query(
    fleet.database,
    `SELECT event_id, holder, token, claimed FROM ${DEFAULT_SCHEMA}.events WHERE holder <> ${id} AND event_id IN (${ids})
     ORDER BY event_id`,
  );
}

async function isWaiting({ database }: Fleet, eventId: string): Promise<boolean> {
  const found = await query(
    database,
    `SELECT FROM ${DEFAULT_SCHEMA}.events WHERE event_id = '${eventId}' AND delivered_at IS NULL`,
  );
  return found.length > 0;
}

/** Their processes stand still, or go on. */
function signal(replicas: readonly Replica[], name: 'SIGSTOP' | 'SIGCONT'): void {
  for (const { service } of replicas) service.child.kill(name);
}

test('three replicas behind nginx, on one database', { skip: nginxMissing }, async (t) => {
  const fleet = await startFleet(t);
  const step = async (name: string, run: (t: TestContext) => Promise<void>): Promise<void> => {
    await fleet.mend();
    await t.test(name, run);
  };

  await step('the same event at the same moment to all of them is stored once, and each answers', async () => {
    const { emulator } = fleet;
    const rounds = 10 * TIMES;
    for (let round = 0; round < rounds; round++) {
      const body = webhook(`same ${round}`);
      const [through, ...direct] = await Promise.all([
        fleet.send(body),
        ...ALL.map((index) => post(fleet.replica(index), body)),
      ]);
      const answers = [...direct.map((answer) => answer.body), JSON.parse(through.text) as Answer['body']];
      assert.deepEqual(answers.map(({ duplicate }) => duplicate).toSorted(), [false, true, true, true]);
      assert.equal(new Set(answers.map(({ event_id }) => event_id)).size, 1);
    }
    await fleet.drained();
    const arrived = emulator.rows(requestStream).map(({ request_id }) => String(request_id));
    assert.deepEqual(arrived.toSorted(), Array.from({ length: rounds }, (_, round) => `same ${round}`).toSorted());
  });

  await step('one is killed under load: the others take over, and only what it was sending comes twice', async (t) => {
    const load = startLoad(fleet, 'kill');
    t.after(load.stop);
    const sentAgain = new Set<string>();
    for (let time = 0; time < TIMES; time++) {
      await load.more(SOME);
      const killed = fleet.replica(0);
      await untilSending(fleet, killed);
      await fleet.end(0, 'SIGKILL');
      await load.more(SOME);
      for (const id of await takenFrom(fleet, killed)) sentAgain.add(id);
      await fleet.start(0);
    }
    await load.more(SOME);
    const { accepted, twice } = await load.settled(sentAgain);
    t.diagnostic(`${accepted} accepted, ${sentAgain.size} held by the killed one, ${twice} rows twice`);
  });

  await step('the database is stopped and started: requests wait in nginx, and nothing comes twice', async (t) => {
    const load = startLoad(fleet, 'database');
    t.after(load.stop);
    for (let time = 0; time < TIMES; time++) {
      await load.more(SOME);
      for (const index of ALL) await untilSending(fleet, fleet.replica(index));
      await fleet.stopDatabase();
      await Promise.all(ALL.map((index) => assertAway(fleet.replica(index), 'database')));
      await fleet.startDatabase();
      await load.more(SOME);
      for (const index of ALL) await untilReady(fleet.replica(index));
    }
    const { accepted } = await load.settled();
    t.diagnostic(`${accepted} accepted`);
    for (const index of ALL) {
      const codes = () => fleet.replica(index).service.logs.map(({ code }) => code);
      await eventually(
        () => codes().includes('outbox_trouble'),
        () => `${index}: ${codes()}`,
      );
    }
  });

  await step('one is refused by the database: it answers 503, nginx asks another, and it comes back', async (t) => {
    const load = startLoad(fleet, 'refused');
    t.after(load.stop);
    const cutOff = fleet.replica(1);
    await load.more(SOME);
    await untilSending(fleet, cutOff);
    await cutOff.way.refuse();
    await assertAway(cutOff, 'refused');
    await load.more(SOME);
    await cutOff.way.heal();
    await untilReady(cutOff);
    await load.more(SOME);
    const { accepted } = await load.settled();
    t.diagnostic(`${accepted} accepted`);
  });

  await step('one hears nothing of it any more: others take over, and it settles nothing of theirs', async (t) => {
    const [cutOff, ...others] = [fleet.replica(2), fleet.replica(0), fleet.replica(1)];
    const load = startLoad(fleet, 'silence');
    // First: what is sent waits for them.
    t.after(() => signal(others, 'SIGCONT'));
    t.after(load.stop);
    await load.more(SOME);
    const sentAgain = await cutWhileSending(fleet, cutOff);
    await load.more(SOME);
    // The others are to hold what they take over until it has told what became of its calls.
    fleet.setAzureDelay(3_000);
    await fleet.endLease(cutOff);
    const taken = () => heldByAnother(fleet, cutOff, sentAgain);
    await eventually(async () => (await taken()).length > 0);
    signal(others, 'SIGSTOP');
    fleet.setAzureDelay(AZURE_DELAY_MS);
    const before = await taken();
    assert.notEqual(before.length, 0);
    await cutOff.way.heal();
    await untilReady(cutOff);
    // Nobody else can deliver it now; and it claims nothing before it has settled.
    const { body } = await post(cutOff, webhook('silence is over', ROWS));
    load.count(String(body['event_id']));
    await eventually(async () => !(await isWaiting(fleet, String(body['event_id']))));
    assert.deepEqual(await taken(), before);
    signal(others, 'SIGCONT');
    await load.more(SOME);
    const { accepted, twice } = await load.settled(sentAgain);
    t.diagnostic(`${accepted} accepted, ${sentAgain.size} held by the one that was cut off, ${twice} rows twice`);
  });

  await step(
    'a rolling upgrade whose first replica migrates the database: no request fails, no row twice',
    async (t) => {
      const load = startLoad(fleet, 'upgrade');
      t.after(load.stop);
      for (let time = 0; time < TIMES; time++) {
        for (const index of ALL) {
          await load.more(SOME);
          await fleet.end(index, 'SIGTERM');
          if (time === 0 && index === 0) await changeTablesAsNewer(fleet);
          await fleet.start(index);
        }
      }
      await load.more(SOME);
      const { accepted } = await load.settled();
      t.diagnostic(`${accepted} accepted`);
      const [version] = await query(fleet.database, `SELECT version FROM ${DEFAULT_SCHEMA}.outbox_version`);
      assert.equal(version?.['version'], SCHEMA_VERSION + 1);
    },
  );

  assertNothingPrivate(fleet.proxy.log(), [SECRET]);
});

/** What the next version's first replica does, while those of this version are at work. */
async function changeTablesAsNewer({ database }: Fleet): Promise<void> {
  await query(
    database,
    `ALTER TABLE ${DEFAULT_SCHEMA}.events ADD COLUMN priority integer NOT NULL DEFAULT 0;
     UPDATE ${DEFAULT_SCHEMA}.outbox_version SET version = ${SCHEMA_VERSION + 1}`,
  );
}

test('nginx gives up after its rounds: with what a replica says, or with 502 where there is none', {
  skip: nginxMissing,
}, async (t) => {
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const proxy = await startReplicasNginx(t, ports, { rounds: 1 });
  // As replicas that cannot reach the database; and one that is not there.
  const says = '{"code":"outbox_unavailable"}';
  const bodies: string[] = [];
  const away = ports.slice(1).map((port) =>
    createServer(async (request, response) => {
      bodies.push(await text(request));
      response.writeHead(503, { 'retry-after': '10' }).end(says);
    }).listen(port, '127.0.0.1'),
  );
  const close = (): void => {
    for (const server of away) server.close().closeAllConnections();
  };
  t.after(close);
  const answer = await callProxy(proxy.port, { body: '{"whole":true}' });
  assert.deepEqual([answer.status, answer.headers['retry-after'], answer.text], [503, '10', says]);
  assert(bodies.length > 2, 'both in the first round, and one at the end');
  assert.deepEqual(new Set(bodies), new Set(['{"whole":true}']));
  close();
  assert.equal((await callProxy(proxy.port, { body: '{}' })).status, 502);
});
