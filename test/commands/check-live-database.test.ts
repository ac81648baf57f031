import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { openOutbox, query, settingsOf } from '../outbox/postgres-fixture.ts';
import { azureEnv, startTestEmulator } from '../support/emulator.ts';
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { findingsOf, run, secret, spawnCli } from './support.ts';

const schema = 'apono_sentinel';
const PASSWORD = 'the-password-of-the-role';

interface Place {
  readonly url: string;
  readonly name: string;
  readonly user: string;
}

interface Checked {
  readonly exitCode: number | null;
  /** What is said of the database, and what to do. */
  readonly line: string;
  readonly fix: string;
}

interface Setup {
  readonly server: PostgresServer;
  readonly env: Readonly<Record<string, string>>;
  /** A database of its own with a role that may sign in there, and in which this SQL was run. */
  place(sql: (user: string, name: string) => string): Promise<Place>;
  /** Runs `check --live` with this OUTBOX_URL; asserts that Azure is asked as well, and that no secret is printed. */
  check(url: string, env?: Readonly<Record<string, string>>): Promise<Checked>;
}

async function setUp(t: TestContext, settings = ''): Promise<Setup> {
  const server = await startPostgres({ settings });
  t.after(() => server.cleanup());
  const emulator = await startTestEmulator(t);
  const env = { ...azureEnv(emulator), APONO_WEBHOOK_SECRET: secret };
  let count = 0;
  return {
    server,
    env,
    async place(sql) {
      count++;
      const [name, user] = [`outbox_${count}`, `role_${count}`];
      await query(server, `CREATE ROLE ${user} LOGIN PASSWORD '${PASSWORD}'`);
      await query(server, `CREATE DATABASE ${name}`);
      await query(server, sql(user, name), name);
      return { name, user, url: `postgres://${user}:${PASSWORD}@127.0.0.1:${server.port}/${name}` };
    },
    async check(url, more = {}) {
      const result = await run(['check', '--live'], { ...env, ...more, OUTBOX_URL: url });
      const { exitCode, stdout, stderr } = result;
      const password = decodeURIComponent(new URL(url).password);
      for (const hidden of [password, emulator.clientSecret, more['AZURE_CLIENT_SECRET'] ?? '', secret]) {
        assert(hidden === '' || !`${stdout}${stderr}`.includes(hidden), 'a secret is printed');
      }
      const found = findingsOf(result)
        .split('\n')
        .find((line) => /^\w+ +(stream .*)?database /.test(line));
      assert(found !== undefined, stdout);
      assert.match(stdout, /^\w+ +stream /m);
      const [line = '', fix] = found.split(' Fix: ');
      return { exitCode, line, fix: fix === undefined ? '' : `Fix: ${fix}` };
    },
  };
}

const mayCreate = (user: string, name: string): string => `GRANT CREATE ON DATABASE ${name} TO ${user}`;
const mayNothing = (): string => 'SELECT 1';

/** As a service of this version leaves it, with the superuser as its owner. */
async function withTables(server: PostgresServer, database: string): Promise<void> {
  const outbox = await openOutbox(server, { schema, database: { ...settingsOf(server), database } });
  await outbox.close();
}

function assertError({ exitCode, line, fix }: Checked, message: RegExp, advice: RegExp): void {
  assert.equal(exitCode, 1);
  assert.match(line, /^error +(stream .*)?database (127\.0\.0\.1:\d+\/\w+: |nobody\.invalid)/);
  assert.match(line, message);
  assert.match(fix, /^Fix: /);
  assert.match(fix, advice);
}

test('check --live and the database of OUTBOX_URL', async (t) => {
  const { server, env, place, check } = await setUp(t);

  await t.test('says that the tables can be made, and makes nothing', async () => {
    const { url, name } = await place(mayCreate);
    const { exitCode, line } = await check(url);
    assert.match(line, /^ok +database 127\.0\.0\.1:\d+\/outbox_\d+: connected .* will be made at the start$/);
    assert.equal(exitCode, 0);
    assert.deepEqual(await query(server, `SELECT FROM pg_namespace WHERE nspname = '${schema}'`, name), []);
    assert.match((await check(server.url())).line, /^ok .* will be made/, 'a superuser');
  });

  await t.test('says that the tables are there, also to a process of its own, which then ends by itself', async (t) => {
    const { url, name, user } = await place(mayCreate);
    await withTables(server, name);
    const rights = `GRANT USAGE ON SCHEMA ${schema} TO ${user}; GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${user}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${schema} TO ${user}`;
    await query(server, rights, name);
    const { exitCode, line } = await check(url);
    assert.deepEqual([exitCode, /its tables are there \(version \d+\)$/.test(line)], [0, true], line);
    const folder = mkdtempSync(path.join(tmpdir(), 'apono-live-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const spawned = await spawnCli(['check', '--live', '--json'], { ...env, OUTBOX_URL: url });
    const { live } = JSON.parse(spawned.stdout) as { live: { subject: string; level: string }[] };
    assert.deepEqual(
      live.filter(({ subject }) => subject.startsWith('database ')).map(({ level }) => level),
      ['well'],
    );
    assert(!`${spawned.stdout}${spawned.stderr}`.includes(PASSWORD));
    writeFileSync(path.join(folder, 'url'), url);
    const fromFile = await run(['check', '--live'], { ...env, OUTBOX_URL_FILE: path.join(folder, 'url') });
    assert.match(fromFile.stdout, /^ok +database /m);
  });

  await t.test('names what keeps it from connecting and signing in', async (t) => {
    const { url } = await place(mayCreate);
    const at = (port: number) => url.replace(`:${server.port}/`, `:${port}/`);
    assertError(
      await check(url.replace(PASSWORD, 'not-the-password')),
      /password authentication failed/,
      /user and password/,
    );
    assertError(
      await check(`${url.replace('127.0.0.1', 'nobody.invalid')}?sslmode=require`),
      /ENOTFOUND|EAI_AGAIN/,
      /does not resolve/,
    );
    assertError(await check(url.replace(/outbox_\d+$/, 'missing')), /"missing" does not exist/, /Make that database/);
    assertError(await check(`${url}?sslmode=require`), /does not support SSL/, /sslmode=disable/);
    const way = await startTcpProxy(server.port);
    t.after(() => way.stop());
    await way.refuse();
    assertError(await check(at(way.port)), /ECONNREFUSED/, /Nothing listens there/);
    await way.heal();
    way.cut();
    assertError(await check(at(way.port)), /nothing comes from 127/, /firewalls/);
  });

  await t.test('tells a token of Entra that cannot be had from a password that is wrong', async () => {
    const { url, user } = await place(mayCreate);
    const withToken = `${url.replace(`:${PASSWORD}`, '')}?auth=entra&sslmode=disable`;
    const AZURE_CLIENT_SECRET = 'the-wrong-client-secret';
    assertError(await check(withToken, { AZURE_CLIENT_SECRET }), /AADSTS7000215/, /AZURE_CLIENT_SECRET/);
    // The server takes passwords alone: what it got was the token.
    assertError(await check(withToken), new RegExp(`authentication failed for user "${user}"`), /auth=entra/);
  });

  await t.test('names the right that is missing, and the statement that gives it', async () => {
    const none = await place(mayNothing);
    assertError(await check(none.url), /may not make the schema/, /CREATE SCHEMA apono_sentinel AUTHORIZATION/);
    await query(server, `CREATE SCHEMA ${schema} AUTHORIZATION ${none.user}`, none.name);
    assert.equal((await check(none.url)).exitCode, 0, 'as it was told');
    const closed = await place(() => `CREATE SCHEMA ${schema}`);
    assertError(await check(closed.url), /may not use the schema/, /ALTER SCHEMA apono_sentinel OWNER TO/);
    await query(server, `GRANT USAGE ON SCHEMA ${schema} TO ${closed.user}`, closed.name);
    assertError(await check(closed.url), /may not make tables in the schema/, /ALTER SCHEMA apono_sentinel OWNER TO/);
    await query(server, `ALTER SCHEMA ${schema} OWNER TO ${closed.user}`, closed.name);
    assert.equal((await check(closed.url)).exitCode, 0, 'as it was told');
    const others = await place(mayCreate);
    await withTables(server, others.name);
    const reading = `GRANT USAGE ON SCHEMA ${schema} TO ${others.user}; GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${others.user}`;
    await query(server, reading, others.name);
    assertError(await check(others.url), /may not use the tables .*\(.*events.*\)/, /GRANT <owner> TO/);
  });

  await t.test('tells a schema of a later version, and of another program', async () => {
    const { url, name, user } = await place(mayCreate);
    await withTables(server, name);
    await query(
      server,
      `GRANT USAGE ON SCHEMA ${schema} TO ${user}; GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${user}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${schema} TO ${user}`,
      name,
    );
    await query(server, `UPDATE ${schema}.outbox_version SET version = 1000`, name);
    const works = await check(url);
    assert.deepEqual([works.exitCode, /later version \(1000\) that works with this one/.test(works.line)], [0, true]);
    await query(server, `UPDATE ${schema}.outbox_version SET works_from = 1000`, name);
    assertError(await check(url), /made by a later version/, /Start the version that wrote it/);
    const foreign = await place(() => `CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.things (id integer)`);
    await query(server, `GRANT USAGE ON SCHEMA ${schema} TO ${foreign.user}`, foreign.name);
    assertError(await check(foreign.url), /tables of another program/, /database of its own/);
  });

  await t.test('does not take a database for good that is read-only', async () => {
    const { url, user } = await place(mayCreate);
    await query(server, `ALTER ROLE ${user} SET default_transaction_read_only TO on`);
    assertError(await check(url), /is read-only/, /503.*primary.*default_transaction_read_only/);
    await query(server, `ALTER ROLE ${user} SET default_transaction_read_only TO off`);
    assert.equal((await check(url)).exitCode, 0);
  });

  await t.test('is not asked for where the outbox is SQLite, nor where the configuration is wrong', async () => {
    assert.doesNotMatch((await run(['check', '--live'], env)).stdout, /database/);
    const { exitCode, stdout } = await run(['check', '--live'], {
      ...env,
      OUTBOX_URL: `mysql://me:${PASSWORD}@host/x`,
    });
    assert.deepEqual([exitCode, stdout.includes(PASSWORD)], [2, false]);
  });
});

test('check --live refuses a server that does not keep what it commits', async (t) => {
  const { check, place } = await setUp(t, 'fsync = off');
  assertError(await check((await place(mayCreate)).url), /fsync = off/, /Change that setting/);
});
