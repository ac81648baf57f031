import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { Client } from 'pg';
import { systemClock } from '../../src/ground/clock.ts';
import { OutboxStartError } from '../../src/outbox/engine.ts';
import { COUNT_SQL, LIST_SQL } from '../../src/outbox/reads.ts';
import { eventually } from '../support/eventually.ts';
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { claimAll, claimOne, ids, isUnavailable } from './contract.ts';
import {
  IMPATIENT,
  newSchema,
  type OpenOptions,
  openOutbox,
  openReplica,
  query,
  settingsOf,
  storeEvents,
} from './postgres-fixture.ts';
import { delivered, event, quarantined, receivedAt, rowsOf, settlement } from './samples.ts';

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

describe('a PostgreSQL outbox', () => {
  it('goes on after the database was stopped and started, and lost nothing that it answered for', async (t) => {
    const schema = newSchema();
    const outbox = await replica(t, { schema, limits: IMPATIENT });
    const answered: string[] = [];
    let stop = false;
    const load = (async () => {
      for (let n = 0; !stop; n++) {
        const puts = Array.from({ length: 5 }, async (_, i) => {
          const put = await outbox.put([event(`e${n}-${i}`)]);
          if (put.outcome === 'stored') answered.push(`e${n}-${i}`);
          else assert.equal(put.outcome, 'unavailable');
        });
        await Promise.all(puts);
      }
    })();
    t.after(() => {
      stop = true;
    });
    await eventually(() => answered.length > 20);
    await server().stop('immediate');
    await assert.rejects(outbox.stats(), isUnavailable);
    await assert.rejects(outbox.claim({ kind: 'request', maxBytes: 1_000_000 }), isUnavailable);
    const before = answered.length;
    await server().start();
    await eventually(() => answered.length > before + 20);
    stop = true;
    await load;
    assert.equal((await outbox.stats()).writable, true);
    const kept = new Set(ids(await claimAll(outbox)));
    assert.deepEqual(
      answered.filter((id) => !kept.has(id)),
      [],
    );
  });

  it('keeps claims over a crash of the database: what was uploaded meanwhile is not sent again', async (t) => {
    const schema = newSchema();
    const outbox = await replica(t, { schema });
    await storeEvents(outbox, 'a');
    const claimed = await claimOne(outbox);
    await server().stop('immediate');
    await server().start();
    assert.deepEqual(await outbox.settle([delivered(claimed)]), ['applied']);
  });

  it('frees its claims when it is closed', async (t) => {
    const schema = newSchema();
    const other = await replica(t, { schema });
    const outbox = await openOutbox(server(), { schema });
    await storeEvents(outbox, 'a');
    await claimOne(outbox);
    assert.deepEqual(await claimAll(other), []);
    await outbox.close();
    assert.deepEqual(ids(await claimAll(other)), ['a']);
  });

  it('closes within seconds when the database does not answer', async (t) => {
    const proxy = await proxied(t);
    const outbox = await openOutbox(server(), { port: proxy.port, limits: IMPATIENT, clock: systemClock });
    await storeEvents(outbox, 'a');
    await claimOne(outbox);
    proxy.cut();
    await outbox.close();
  });

  it('takes ids and kinds of any text, and says of which it knew', async (t) => {
    const outbox = await replica(t);
    const texts = ['"', '\\', '\\"', '{a,b}', 'NULL', ' a ', "'", '日本 \u{1F511}'];
    for (const kind of texts) await outbox.put(texts.map((text) => event(`${kind} ${text}`, { kind })));
    const again = await outbox.put([event('new'), event(`NULL "`), event('\\ \\')]);
    assert.ok(again.outcome === 'stored');
    assert.deepEqual(
      again.entries.map(({ duplicate }) => duplicate),
      [false, true, true],
    );
    for (const kind of texts) {
      const claimed = await claimAll(outbox, { kind });
      assert.deepEqual(
        ids(claimed),
        texts.map((text) => `${kind} ${text}`),
      );
      assert.deepEqual(
        await outbox.settle(claimed.map(delivered)),
        texts.map(() => 'applied'),
      );
    }
  });

  it('purges the dead letters of an event with it', async (t) => {
    const schema = newSchema();
    const outbox = await replica(t, { schema });
    await storeEvents(outbox, 'a');
    const { eventId, token, ranges } = await claimOne(outbox);
    const dead = [{ rows: ranges, code: 'refused', reason: 'no' }];
    await outbox.settle([{ eventId, token, delivered: [], dead, release: false }]);
    assert.deepEqual(await outbox.purge(['a']), [true]);
    assert.deepEqual(await query(server(), `SELECT count(*)::integer AS n FROM "${schema}".dead_letters`), [{ n: 0 }]);
  });

  it('finds the pages of every list by index, and counts events in an index alone', async (t) => {
    const schema = newSchema();
    await replica(t, { schema });
    const client = new Client({ connectionString: server().url() });
    await client.connect();
    const planOf = async (sql: string): Promise<string> =>
      (await client.query(sql)).rows.map((row) => String(row['QUERY PLAN'])).join('\n');
    try {
      await client.query(`SET search_path TO "${schema}"`);
      await client.query(`INSERT INTO events SELECT n, 'e' || n, 'kind ' || n % 3, n, n, NULL, NULL, 1, 1, 1, '[]', n % 2, n % 5 / 4
        FROM generate_series(1, 20000) n`);
      await client.query(`INSERT INTO quarantine (quarantine_id, stored_at, received_at, code, reason, body)
        SELECT n, n, n, '', '', '' FROM generate_series(1, 5000) n`);
      await client.query('VACUUM ANALYZE events, quarantine');
      const values: Record<string, string> = { $1: '9000', $2: '9000', $3: '100', $4: "'kind 1'" };
      for (const [state, sql] of Object.entries(LIST_SQL)) {
        const plan = await planOf(`EXPLAIN ${sql.replaceAll(/\$\d/g, (name) => values[name] ?? '')}`);
        const index = state === 'quarantined' ? 'quarantine_received' : `events_${state}`;
        assert.match(plan, new RegExp(`^Limit.*\n +-> +Index Scan using ${index} on `), 'nothing is sorted');
      }
      for (const state of ['waiting', 'dead'] as const) {
        assert.match(
          await planOf(`EXPLAIN ${COUNT_SQL[state]}`),
          new RegExp(`Index Only Scan using events_${state} on`),
        );
      }
    } finally {
      await client.end();
    }
  });

  it('says that rows are lost, until the event is purged', async (t) => {
    const schema = newSchema();
    const outbox = await replica(t, { schema });
    await storeEvents(outbox, 'lost');
    await query(server(), `DELETE FROM "${schema}".bodies`);
    await storeEvents(outbox, 'there');
    await assert.rejects(
      outbox.claim({ kind: 'request', maxBytes: 1_000_000 }),
      /rows of event lost are missing.*outbox purge/,
    );
    assert.equal(String((await outbox.show('lost'))?.body), '91,93', 'an empty list');
    assert.deepEqual(await outbox.purge(['lost']), [true]);
    assert.deepEqual(ids(await claimAll(outbox)), ['there']);
  });

  it('keeps what JSON escapes, every byte of a quarantined body, and texts of 5 MB', async (t) => {
    const outbox = await replica(t);
    const note = `\0 \\u0000 ${'日本\u{1F511}'.repeat(500_000)}`;
    const large = event('large', { note, feed: 'a\0b' });
    await outbox.put([large]);
    const bytes = Uint8Array.from({ length: 5_000_000 }, (_, n) => n % 251);
    await outbox.put([
      quarantined('q', { body: bytes, feed: '\0', reason: 'at \0' }),
      quarantined('q0', { body: new Uint8Array() }),
    ]);
    const claimed = await claimOne(outbox);
    assert.deepEqual(claimed.rows, rowsOf(large));
    await outbox.settle([settlement(claimed, { dead: [{ rows: [[0, 1]], code: 'refused', reason: '\0 no' }] })]);
    const dead = await outbox.show('large');
    assert.deepEqual([dead?.feed, dead?.deadLetters[0]?.reason], ['a\ufffdb', '\ufffd no'], 'no text holds U+0000');
    const shown = await outbox.show('q');
    assert.deepEqual(
      [shown?.feed, shown?.reason, Buffer.compare(shown?.body ?? new Uint8Array(), bytes)],
      ['\ufffd', 'at \ufffd', 0],
    );
    for (const bad of [event('\0'), event('a', { kind: '\0' }), quarantined('\0')]) {
      await assert.rejects(outbox.put([event('b'), bad]), RangeError);
    }
    assert.equal(await outbox.show('\0'), null);
    assert.deepEqual([await outbox.revive(['\0']), await outbox.purge(['\0', 'b'])], [[0], [false, false]]);
    assert.deepEqual(await claimAll(outbox, { kind: '\0' }), []);
  });

  it('syncs every commit, whatever the defaults of the role and the database say', async (t) => {
    const user = 'careless';
    await query(server(), `CREATE ROLE ${user} LOGIN PASSWORD 'pw'`);
    await query(server(), `GRANT CREATE ON DATABASE postgres TO ${user}`);
    await query(server(), `ALTER ROLE ${user} SET synchronous_commit TO off`);
    await query(server(), `ALTER ROLE ${user} SET default_transaction_isolation TO serializable`);
    await query(server(), `ALTER ROLE ${user} SET search_path TO pg_temp`);
    const schema = newSchema();
    const database = { ...settingsOf(server()), user, password: async () => 'pw' };
    const outbox = await replica(t, { schema, database });
    await query(
      server(),
      `CREATE TABLE "${schema}".seen (setting text); GRANT ALL ON "${schema}".seen TO ${user};
       CREATE FUNCTION "${schema}".see() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN INSERT INTO seen VALUES (current_setting(''synchronous_commit'')); RETURN NULL; END';
       CREATE TRIGGER see AFTER INSERT ON "${schema}".events EXECUTE FUNCTION "${schema}".see()`,
    );
    await storeEvents(outbox, 'a');
    assert.deepEqual(await query(server(), `SELECT DISTINCT setting FROM "${schema}".seen`), [{ setting: 'on' }]);
  });

  it('asks for the password anew with each connection, so that a token can change', async (t) => {
    await query(server(), `CREATE ROLE entra LOGIN PASSWORD 'token-1'`);
    await query(server(), `GRANT CREATE ON DATABASE postgres TO entra`);
    let token = 'token-1';
    let asked = 0;
    const database = {
      ...settingsOf(server()),
      user: 'entra',
      password: async () => {
        asked++;
        return token;
      },
    };
    const outbox = await replica(t, { database });
    await storeEvents(outbox, 'a');
    await query(server(), `ALTER ROLE entra PASSWORD 'token-2'`);
    token = 'token-2';
    await query(server(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'entra'`);
    await storeEvents(outbox, 'b');
    assert(asked >= 2);
  });

  it('is not writable on a server that was made read-only, and still delivers what waits', async (t) => {
    await query(server(), `CREATE ROLE limited LOGIN PASSWORD 'pw'`);
    await query(server(), 'GRANT CREATE ON DATABASE postgres TO limited');
    const schema = newSchema();
    const database = { ...settingsOf(server()), user: 'limited', password: async () => 'pw' };
    const outbox = await replica(t, { schema, database });
    await storeEvents(outbox, 'a');
    await query(server(), 'ALTER ROLE limited SET default_transaction_read_only TO on');
    await query(server(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'limited'`);
    const put = await outbox.put([event('b')]);
    assert(put.outcome === 'unavailable');
    assert.match(put.reason, /read-only/);
    const { writable, problem } = await outbox.stats();
    assert.deepEqual([writable, /read-only/.test(problem ?? '')], [false, true]);
    assert.deepEqual(await outbox.settle([delivered(await claimOne(outbox))]), ['applied']);
    const second = await replica(t, { schema, database });
    assert.equal((await second.put([event('b')])).outcome, 'unavailable', 'it starts all the same');
    await query(server(), 'ALTER ROLE limited SET default_transaction_read_only TO off');
    await query(server(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'limited'`);
    await storeEvents(outbox, 'b');
    assert.equal((await outbox.stats()).writable, true);
  });

  it('is full when the server has no room, and takes puts again when it has', async (t) => {
    const schema = newSchema();
    const outbox = await replica(t, { schema });
    await storeEvents(outbox, 'a');
    // What a server says whose disk is full, without filling one.
    const full = ['events', 'write_probe'].map(
      (table) => `CREATE TRIGGER no_room BEFORE INSERT ON "${schema}".${table} EXECUTE FUNCTION "${schema}".no_room()`,
    );
    await query(
      server(),
      `CREATE FUNCTION "${schema}".no_room() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN RAISE EXCEPTION ''could not extend file'' USING ERRCODE = ''53100''; END'; ${full.join(';')}`,
    );
    const puts = await Promise.all(['b', 'c'].map((id) => outbox.put([event(id)])));
    assert.deepEqual(puts, [{ outcome: 'full' }, { outcome: 'full' }]);
    const { writable, problem, waiting } = await outbox.stats();
    assert.deepEqual(
      [writable, problem, waiting['request']?.count],
      [false, 'could not extend file (SQLSTATE 53100)', 1],
    );
    assert.deepEqual(await outbox.settle([delivered(await claimOne(outbox))]), ['applied'], 'delivery makes room');
    await query(server(), `DROP FUNCTION "${schema}".no_room() CASCADE`);
    assert.equal((await outbox.stats()).writable, true);
    await storeEvents(outbox, 'b');
  });

  it('says what to do when it cannot be opened, and never the password', async () => {
    const schema = newSchema();
    await openOutbox(server(), { schema }).then((outbox) => outbox.close());
    const rejects = async (options: OpenOptions, code: string, message: RegExp): Promise<void> => {
      const opened = openOutbox(server(), options);
      await assert.rejects(opened, (error) => {
        assert(error instanceof OutboxStartError, String(error));
        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert(!error.message.includes('the-wrong-password'));
        return true;
      });
    };
    const wrong = { ...settingsOf(server()), password: async () => 'the-wrong-password' };
    await rejects(
      { database: wrong },
      'outbox_permission',
      /127\.0\.0\.1:\d+\/postgres.*password authentication failed/,
    );
    await rejects({ database: { ...wrong, host: 'nobody.invalid' } }, 'outbox_cannot_open', /nobody\.invalid/);
    await rejects({ database: { ...settingsOf(server()), database: 'missing' } }, 'outbox_cannot_open', /missing/);
    await rejects({ database: { ...settingsOf(server()), ssl: {} } }, 'outbox_cannot_open', /SSL/);
    await query(server(), `UPDATE "${schema}".outbox_version SET version = 1000, works_from = 999`);
    await rejects({ schema }, 'outbox_newer_version', /version is 1000/);
    const foreign = newSchema();
    await query(server(), `CREATE SCHEMA "${foreign}"; CREATE TABLE "${foreign}".things (id integer)`);
    await rejects({ schema: foreign }, 'outbox_foreign_database', /another program/);
    assert.equal(
      (
        await query(
          server(),
          `SELECT FROM pg_class WHERE relname = 'events' AND relnamespace = '"${foreign}"'::regnamespace`,
        )
      ).length,
      0,
    );
  });

  it('needs no right to create a schema where an administrator made it', async (t) => {
    const schema = newSchema();
    await query(server(), `CREATE ROLE tenant LOGIN PASSWORD 'pw'; CREATE SCHEMA "${schema}" AUTHORIZATION tenant`);
    const database = { ...settingsOf(server()), user: 'tenant', password: async () => 'pw' };
    await storeEvents(await replica(t, { schema, database }), 'a');
  });

  it('counts what all replicas stored', async (t) => {
    const schema = newSchema();
    const replicas = await Promise.all(Array.from({ length: 3 }, () => replica(t, { schema })));
    for (let round = 0; round < 20; round++) {
      await Promise.all(replicas.map((outbox, n) => outbox.put([receivedAt(`e${round}-${n}`, round)])));
    }
    const counts = await Promise.all(replicas.map(async (outbox) => (await outbox.stats()).waiting['request']));
    for (const count of counts) assert.deepEqual(count, { count: 60, oldestReceivedAt: 0 });
  });

  it('refuses a schema of a version before 0.1.0, and changes nothing in it', async () => {
    const schema = newSchema();
    await query(
      server(),
      `CREATE SCHEMA "${schema}"; CREATE TABLE "${schema}".outbox_version (owner text, version integer, works_from integer);
       INSERT INTO "${schema}".outbox_version VALUES ('apono-sentinel', 2, 1)`,
    );
    const opened = openOutbox(server(), { schema });
    await assert.rejects(opened, { code: 'outbox_older_version', message: /before 0\.1\.0.*deliver what waits/ });
    const tables = await query(server(), `SELECT FROM pg_class WHERE relnamespace = '"${schema}"'::regnamespace`);
    assert.equal(tables.length, 1);
  });

  it('names the right that is missing on its tables', async () => {
    const schema = newSchema();
    await openOutbox(server(), { schema }).then((outbox) => outbox.close());
    await query(
      server(),
      `CREATE ROLE reader LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA "${schema}" TO reader;
       GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "${schema}" TO reader;
       GRANT USAGE ON ALL SEQUENCES IN SCHEMA "${schema}" TO reader`,
    );
    const database = { ...settingsOf(server()), user: 'reader', password: async () => 'pw' };
    await openOutbox(server(), { schema, database }).then((outbox) => outbox.close());
    await query(server(), `REVOKE DELETE ON "${schema}".bodies FROM reader`);
    const opened = openOutbox(server(), { schema, database });
    await assert.rejects(opened, { code: 'outbox_permission', message: /permission denied for table bodies.*GRANT/ });
    const left = `SELECT FROM "${schema}".events UNION ALL SELECT FROM "${schema}".quarantine`;
    assert.deepEqual(await query(server(), left), [], 'what was tried is rolled back');
  });
});
