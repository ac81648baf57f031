import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { type Database, openDatabase } from '../../src/outbox/postgres/database.ts';
import { MIGRATIONS, type Migration, migrate, SCHEMA_VERSION } from '../../src/outbox/postgres/migrations.ts';
import { DEFAULT_LIMITS } from '../../src/outbox/postgres/settings.ts';
import { OutboxStartError } from '../../src/outbox/start-error.ts';
import { eventually } from '../support/eventually.ts';
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { claimAll, ids } from './contract.ts';
import { newSchema, openOutbox, openReplica, query, settingsOf, storeEvents } from './postgres-fixture.ts';
import { delivered, event } from './samples.ts';

/**
 * What a version after this one may do to the tables: it adds columns, indexes and tables. In another order than puts
 * lock them, so that they meet.
 */
const ADDITION: Migration = {
  worksFrom: SCHEMA_VERSION,
  sql: `
    ALTER TABLE events ADD COLUMN priority integer NOT NULL DEFAULT 0;
    ALTER TABLE identities ADD COLUMN origin text;
    CREATE INDEX events_priority ON events (priority, received_at) WHERE pending_rows > 0;
    CREATE TABLE routes (name text PRIMARY KEY);`,
};
/** And what only a version after that one may do. */
const REMOVAL: Migration = {
  worksFrom: SCHEMA_VERSION + 1,
  sql: 'ALTER TABLE events RENAME COLUMN mapped_bytes TO size',
};

let started: PostgresServer | null = null;
const server = (): PostgresServer => started ?? assert.fail('the server was not started');

before(async () => {
  started = await startPostgres();
});
after(() => started?.cleanup());

/** The database as a later version has it. */
function laterVersion(t: TestContext, schema: string, ...additions: readonly Migration[]) {
  const database: Database = openDatabase(settingsOf(server()), schema, DEFAULT_LIMITS);
  t.after(() => database.close());
  return { migrate: () => migrate(database, schema, [...MIGRATIONS, ...additions]) };
}

const versionOf = (schema: string) => query(server(), `SELECT version, works_from FROM "${schema}".outbox_version`);

describe('an upgrade of the schema in PostgreSQL', () => {
  it('by a newer version leaves the older replicas at work, and they can be started again', async (t) => {
    const schema = newSchema();
    const replicas = [await openReplica(t, server(), { schema }), await openReplica(t, server(), { schema })];
    const stored: string[] = [];
    const settled: string[] = [];
    let stop = false;
    const load = replicas.map(async (outbox, replica) => {
      for (let n = 0; !stop; n++) {
        const id = `e${replica}-${n}`;
        await storeEvents(outbox, id);
        stored.push(id);
        const claimed = await claimAll(outbox, { maxEvents: 2 });
        assert.deepEqual(new Set(await outbox.settle(claimed.map(delivered))), new Set(claimed.map(() => 'applied')));
        settled.push(...ids(claimed));
      }
    });
    const working = Promise.all(load);
    const more = async (): Promise<void> => {
      const wanted = stored.length + 50;
      await Promise.race([working, eventually(() => stored.length >= wanted)]);
    };
    await more();
    // Several of the newer ones start at once, as in an upgrade that replaces two at a time.
    await Promise.all(Array.from({ length: 3 }, () => laterVersion(t, schema, ADDITION).migrate()));
    assert.deepEqual(await versionOf(schema), [{ version: SCHEMA_VERSION + 1, works_from: SCHEMA_VERSION }]);
    await more();
    const restarted = await openReplica(t, server(), { schema });
    await more();
    stop = true;
    await working;
    settled.push(...ids(await claimAll(restarted)));
    assert.deepEqual(settled.toSorted(), stored.toSorted(), 'each once');
    assert.deepEqual(await versionOf(schema), [{ version: SCHEMA_VERSION + 1, works_from: SCHEMA_VERSION }]);
  });

  it('that the older version does not work with is refused by it, with what to do, and nothing is changed', async (t) => {
    const schema = newSchema();
    await (await openOutbox(server(), { schema })).close();
    await laterVersion(t, schema, ADDITION, REMOVAL).migrate();
    await assert.rejects(openOutbox(server(), { schema }), (error) => {
      assert(error instanceof OutboxStartError);
      assert.equal(error.code, 'outbox_newer_version');
      const versions = `version is ${SCHEMA_VERSION + 2} and works with ${SCHEMA_VERSION + 1} or later, this service knows`;
      assert(error.message.includes(versions), error.message);
      assert.match(error.message, /Start the version that wrote it, or a later one/);
      return true;
    });
    assert.deepEqual(await versionOf(schema), [{ version: SCHEMA_VERSION + 2, works_from: SCHEMA_VERSION + 1 }]);
    await laterVersion(t, schema, ADDITION, REMOVAL).migrate();
    await laterVersion(t, schema, ADDITION).migrate();
    assert.deepEqual(await versionOf(schema), [{ version: SCHEMA_VERSION + 2, works_from: SCHEMA_VERSION + 1 }]);
  });

  it('that fails half-way leaves everything as it was', async (t) => {
    const schema = newSchema();
    const outbox = await openReplica(t, server(), { schema });
    await storeEvents(outbox, 'a');
    const broken = { worksFrom: 1, sql: `${ADDITION.sql}; SELECT 1 / 0` };
    await assert.rejects(laterVersion(t, schema, broken).migrate(), /division by zero/);
    const worksFrom = Math.max(...MIGRATIONS.map((migration) => migration.worksFrom));
    assert.deepEqual(await versionOf(schema), [{ version: SCHEMA_VERSION, works_from: worksFrom }]);
    assert.equal((await outbox.put([event('b')])).outcome, 'stored');
    await laterVersion(t, schema, ADDITION).migrate();
    assert.deepEqual(ids(await claimAll(await openReplica(t, server(), { schema }))), ['a', 'b']);
  });
});
