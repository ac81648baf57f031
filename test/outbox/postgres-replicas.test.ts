import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import type { ClaimedRows } from '../../src/outbox/engine.ts';
import { eventually } from '../support/eventually.ts';
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { claimAll, ids, isUnavailable } from './contract.ts';
import {
  IMPATIENT,
  newSchema,
  type OpenOptions,
  openReplica,
  type PostgresStore,
  query,
  settingsOf,
  storeEvents,
} from './postgres-fixture.ts';
import { delivered, event, quarantined } from './samples.ts';

const child = fileURLToPath(new URL('postgres-child.ts', import.meta.url));
const SHORT_LEASE_MS = 2_000;

let started: PostgresServer | null = null;
const server = (): PostgresServer => started ?? assert.fail('the server was not started');
const replica = (t: TestContext, options: OpenOptions = {}) => openReplica(t, server(), options);

before(async () => {
  started = await startPostgres();
});
after(() => started?.cleanup());

async function proxied(t: TestContext): Promise<TcpProxy> {
  const proxy = await startTcpProxy(server().port);
  t.after(() => proxy.stop());
  return proxy;
}

describe('replicas on one database', () => {
  it('start at once on an empty database, ten of them, and make one schema', async (t) => {
    const schema = newSchema();
    const replicas = await Promise.all(Array.from({ length: 10 }, () => replica(t, { schema })));
    await Promise.all(replicas.map((outbox, n) => storeEvents(outbox, `e${n}`)));
    const claims = await Promise.all(replicas.map((outbox) => claimAll(outbox, { maxEvents: 1 })));
    assert.equal(new Set(claims.flatMap(ids)).size, 10);
    const [first] = replicas;
    assert.equal((await first?.stats())?.waiting['request']?.count, 10);
  });

  it('store an event once that all of them get at the same moment, and answer each', async (t) => {
    const schema = newSchema();
    const replicas = await Promise.all(Array.from({ length: 3 }, () => replica(t, { schema })));
    const shared = Array.from({ length: 50 }, (_, n) => `e${n}`);
    // Each in an order of its own, so that two that wait for each other would show.
    const orders = [shared, shared.toReversed(), [...shared.slice(25), ...shared.slice(0, 25)]];
    const puts = await Promise.all(
      replicas.flatMap((outbox, n) => [
        outbox.put((orders[n] ?? shared).map((id) => event(id))),
        ...shared.map((id) => outbox.put([event(id), quarantined('q')])),
      ]),
    );
    const entries = puts.flatMap((put) => (put.outcome === 'stored' ? put.entries : assert.fail(JSON.stringify(put))));
    const firsts = entries.filter(({ duplicate }) => !duplicate).map(({ id }) => id);
    assert.deepEqual(firsts.toSorted(), [...shared, 'q'].toSorted());
    const claims = await Promise.all(replicas.map((outbox) => claimAll(outbox)));
    assert.equal(claims.flatMap(ids).length, 50);
  });

  it('never claim the same event, and drain a backlog together', async (t) => {
    const schema = newSchema();
    const replicas = await Promise.all(Array.from({ length: 3 }, () => replica(t, { schema })));
    const [first] = replicas;
    assert(first !== undefined);
    await first.put(Array.from({ length: 600 }, (_, n) => event(`e${n}`)));
    const delivery = async (outbox: PostgresStore): Promise<string[]> => {
      const taken: string[] = [];
      for (;;) {
        const claimed = await claimAll(outbox, { maxEvents: 20 });
        if (claimed.length === 0) return taken;
        assert.deepEqual(new Set(await outbox.settle(claimed.map(delivered))), new Set(['applied']));
        taken.push(...ids(claimed));
      }
    };
    const taken = (await Promise.all(replicas.map(delivery))).flat();
    assert.equal(taken.length, 600);
    assert.equal(new Set(taken).size, 600);
    assert.deepEqual((await first.stats()).waiting, {});
  });

  it('never claim what another has claimed while they looked, not even with its first claim', async (t) => {
    const schema = newSchema();
    const outbox = await replica(t, { schema });
    await storeEvents(outbox, 'a');
    // Stops one replica between its look at who lives and its claim, as a slow machine does for a moment.
    await query(
      server(),
      `UPDATE "${schema}".events SET holder = 1, token = 1, claimed = pending;
       CREATE ROLE slow SUPERUSER LOGIN PASSWORD 'pw';
       CREATE FUNCTION "${schema}".clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$
         BEGIN
           IF current_user = 'slow' AND current_query() LIKE '%SKIP LOCKED%' THEN
             PERFORM pg_advisory_xact_lock(1);
           END IF;
           RETURN pg_catalog.clock_timestamp();
         END $$`,
    );
    const database = { ...settingsOf(server()), user: 'slow', password: async () => 'pw' };
    const slow = await replica(t, { schema, database });
    const gate = new Client({ connectionString: server().url() });
    await gate.connect();
    t.after(() => gate.end());
    await gate.query('SELECT pg_advisory_lock(1)');
    const late = claimAll(slow);
    const waiting = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`;
    await eventually(async () => (await query(server(), waiting)).length === 1);
    const [claimed] = await claimAll(outbox);
    assert(claimed !== undefined);
    await gate.query('SELECT pg_advisory_unlock(1)');
    assert.deepEqual(await late, []);
    assert.deepEqual(await outbox.settle([delivered(claimed)]), ['applied']);
  });

  it('take over what a replica held that was killed, once its lease is over, and none before', async (t) => {
    const schema = newSchema();
    const outbox = await replica(t, { schema, leaseMs: SHORT_LEASE_MS });
    await storeEvents(outbox, 'a', 'b', 'c');
    const { port, password } = server();
    const holder = spawn(process.execPath, [child, String(port), password, schema, String(SHORT_LEASE_MS)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => holder.kill('SIGKILL'));
    const [line] = (await once(createInterface({ input: holder.stdout }), 'line')) as [string];
    const held = JSON.parse(line) as Pick<ClaimedRows, 'eventId' | 'token'>[];
    assert.equal(held.length, 3);
    // It lives for longer than its lease: it renews it.
    const until = performance.now() + 1.5 * SHORT_LEASE_MS;
    await eventually(async () => {
      assert.deepEqual(await claimAll(outbox), [], 'it is still held');
      return performance.now() > until;
    });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    let taken: readonly ClaimedRows[] = [];
    await eventually(async () => {
      taken = await claimAll(outbox);
      return taken.length > 0;
    });
    assert.deepEqual(ids(taken), ['a', 'b', 'c']);
    const late = held.map(({ eventId, token }) => ({
      eventId,
      token,
      delivered: [[0, 1]] as const,
      dead: [],
      release: true,
    }));
    assert.deepEqual(await outbox.settle(late), ['stale', 'stale', 'stale'], 'the former holder is fenced');
    assert.deepEqual(await outbox.settle(taken.map(delivered)), ['applied', 'applied', 'applied']);
  });

  it('let a replica settle that was away for longer than its lease, as long as nobody took over', async (t) => {
    const schema = newSchema();
    const proxy = await proxied(t);
    const away = await replica(t, { schema, port: proxy.port, leaseMs: 300, limits: IMPATIENT });
    await storeEvents(away, 'a', 'b');
    const [a, b] = await claimAll(away);
    assert(a !== undefined && b !== undefined);
    proxy.cut();
    const other = await replica(t, { schema });
    let taken: readonly ClaimedRows[] = [];
    await eventually(async () => {
      taken = await claimAll(other, { maxEvents: 1 });
      return taken.length > 0;
    });
    assert.deepEqual(ids(taken), ['a']);
    await assert.rejects(away.settle([delivered(a)]), isUnavailable);
    const put = await away.put([event('c')]);
    assert.equal(put.outcome, 'unavailable');
    await assert.rejects(away.stats(), isUnavailable);
    await proxy.heal();
    // A look at the server that had begun before ends with what it saw.
    await eventually(() =>
      away
        .stats()
        .then(({ writable }) => writable)
        .catch(() => false),
    );
    assert.deepEqual(await away.settle([delivered(a), delivered(b)]), ['stale', 'applied']);
    assert.deepEqual(await other.settle(taken.map(delivered)), ['applied']);
    await storeEvents(away, 'c');
    assert.equal((await away.stats()).writable, true);
  });

  it('notice that nothing comes any more, and keep nobody waiting after that', async (t) => {
    const schema = newSchema();
    const proxy = await proxied(t);
    // Whoever waits for another connection waits for ever.
    const limits = { answerMs: 2_000, connectMs: 600_000 };
    const outbox = await replica(t, { schema, port: proxy.port, limits });
    await storeEvents(outbox, 'a');
    proxy.cut();
    const [put, settle] = await Promise.allSettled([
      outbox.put([event('b')]),
      outbox.settle([{ eventId: 'a', token: 1, delivered: [], dead: [], release: true }]),
    ]);
    assert(put.status === 'fulfilled' && put.value.outcome === 'unavailable', JSON.stringify(put));
    assert.match(put.value.reason, /nothing comes from 127\.0\.0\.1:\d+\/postgres/);
    assert(settle.status === 'rejected' && isUnavailable(settle.reason));
    assert.equal((await outbox.put([event('c')])).outcome, 'unavailable');
    await assert.rejects(claimAll(outbox), /nothing comes from/);
    await proxy.heal();
    // A look that had begun before ends with what it saw.
    await eventually(async () => (await outbox.put([event('b')])).outcome === 'stored');
  });

  it('tell a server that is slow from one that is silent, and keep their connections', async (t) => {
    const schema = newSchema();
    const outbox = await replica(t, { schema, limits: { statementMs: 200 } });
    // One connection listens by now, and this makes the one that stores.
    await storeEvents(outbox, 'first');
    await query(
      server(),
      `CREATE FUNCTION "${schema}".slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
       CREATE TRIGGER slow AFTER INSERT ON "${schema}".events EXECUTE FUNCTION "${schema}".slow()`,
    );
    const connections = async () => {
      const rows = await query(server(), `SELECT pid FROM pg_stat_activity WHERE application_name = 'apono-sentinel'`);
      return new Set(rows.map(({ pid }) => pid));
    };
    const before = await connections();
    const put = await outbox.put([event('a')]);
    assert(put.outcome === 'unavailable', JSON.stringify(put));
    assert.match(put.reason, /statement timeout/);
    // One more may have been made meanwhile, for the messages of other replicas or for what the outbox holds.
    assert.deepEqual(before.difference(await connections()), new Set());
  });

  it('wait for an answer that is only slow', async (t) => {
    const schema = newSchema();
    const outbox = await replica(t, { schema });
    await query(
      server(),
      `CREATE FUNCTION "${schema}".slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.7); RETURN NULL; END';
       CREATE TRIGGER slow AFTER INSERT ON "${schema}".events EXECUTE FUNCTION "${schema}".slow()`,
    );
    await storeEvents(outbox, 'a');
  });

  it('wait for what one of them had locked that was cut off in the middle, and do not fail', async (t) => {
    const schema = newSchema();
    const proxy = await proxied(t);
    const away = await replica(t, { schema, port: proxy.port });
    const outbox = await replica(t, { schema });
    proxy.swallowAnswerTo('INSERT INTO events');
    const cutOff = away.put([event('a')]);
    const locked = `SELECT FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = '${schema}' AND c.relname = 'events' AND l.mode = 'RowExclusiveLock'`;
    await eventually(async () => (await query(server(), locked)).length === 1);
    const put = await outbox.put([event('a'), event('b')]);
    assert(put.outcome === 'stored', JSON.stringify(put));
    assert.deepEqual(
      put.entries.map(({ duplicate }) => duplicate),
      [false, false],
    );
    assert.equal((await cutOff).outcome, 'unavailable');
  });

  it('give back a claim whose answer was lost', async (t) => {
    const schema = newSchema();
    const proxy = await proxied(t);
    const outbox = await replica(t, { schema, port: proxy.port, limits: IMPATIENT });
    await claimAll(outbox);
    await storeEvents(outbox, 'a');
    const held = () => query(server(), `SELECT FROM "${schema}".events WHERE holder IS NOT NULL`);
    // With the end of the text: every transaction begins with READ COMMITTED.
    proxy.swallowAnswerTo('COMMIT\0');
    await assert.rejects(outbox.claim({ kind: 'request', maxBytes: 1_000_000 }), isUnavailable);
    await eventually(async () => (await held()).length === 1);
    await proxy.heal();
    assert.deepEqual(ids(await claimAll(outbox)), ['a']);
  });

  it('rest together when Azure asks one of them, and one tries for all', async (t) => {
    const schema = newSchema();
    const replicas = await Promise.all(Array.from({ length: 3 }, () => replica(t, { schema })));
    const turns = () => Promise.all(replicas.map(({ pace }) => pace.turn('s')));
    const [a, b, c] = replicas.map(({ pace }) => pace);
    assert(a !== undefined && b !== undefined && c !== undefined);
    const go = { restMs: 0, alone: false };
    assert.deepEqual(await turns(), [go, go, go]);
    await Promise.all([a.rest('s', 200, false), b.rest('s', 60_000, false), c.rest('s', 1, false)]);
    for (const { restMs } of await turns()) assert(restMs > 0 && restMs <= 5_000);
    assert.deepEqual(await a.turn('another'), go);
    await a.rest('s', 0, true);
    const first = await turns();
    assert.equal(first.filter(({ alone, restMs }) => alone && restMs === 0).length, 1);
    assert.equal(first.filter(({ alone, restMs }) => !alone && restMs > 0).length, 2);
    await a.rest('s', 0, true);
    assert.equal((await turns()).filter(({ alone }) => alone).length, 1, 'the next try');
    await a.rest('s', 60_000, true);
    assert.deepEqual([await c.endRest('s'), await c.endRest('another')], [true, false]);
    const hurried = await turns();
    assert.equal(hurried.filter(({ alone, restMs }) => alone && restMs === 0).length, 1, 'an operator asked');
    assert.equal(hurried.filter(({ alone, restMs }) => !alone && restMs > 0).length, 2);
    await b.resume('s');
    assert.deepEqual(await turns(), [go, go, go]);
  });
});
