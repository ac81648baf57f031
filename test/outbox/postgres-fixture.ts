import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { Client } from 'pg';
import { type Clock, systemClock } from '../../src/ground/clock.ts';
import { createLogger } from '../../src/ground/log.ts';
import type { SharedPace } from '../../src/outbox/port.ts';
import type { DatabaseSettings, Limits } from '../../src/outbox/postgres/database.ts';
import { openPostgresEngine } from '../../src/outbox/postgres/engine.ts';
import { createStore } from '../../src/outbox/store.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import type { PostgresServer } from '../support/postgres-server.ts';
import type { FixtureOptions, OutboxFixture, TestStore } from './contract.ts';
import { event } from './samples.ts';

export function settingsOf(server: PostgresServer, port = server.port): DatabaseSettings {
  return {
    host: '127.0.0.1',
    port,
    database: 'postgres',
    user: 'postgres',
    password: async () => server.password,
    ssl: false,
  };
}

export interface OpenOptions extends FixtureOptions {
  readonly schema?: string;
  readonly clock?: Clock;
  readonly leaseMs?: number;
  readonly limits?: Partial<Limits>;
  readonly port?: number;
  readonly database?: DatabaseSettings;
}

export const newSchema = (): string => `outbox_${randomBytes(6).toString('hex')}`;

/** A store on PostgreSQL, in this thread. */
export interface PostgresStore extends TestStore {
  readonly pace: SharedPace;
}

export async function openOutbox(
  server: PostgresServer,
  { schema = newSchema(), clock = manualClock(), maxBytes = 2 ** 30, port, database, ...rest }: OpenOptions = {},
): Promise<PostgresStore> {
  const engine = await openPostgresEngine({
    database: database ?? settingsOf(server, port),
    schema,
    clock,
    maxBytes,
    log: createLogger('silent', { write: () => undefined }),
    ...rest,
  });
  const store = createStore({ engine, clock, maxBytes, onEvent: () => undefined });
  return { ...store, engine, pace: engine.pace };
}

/** A schema of its own on the server, which cleanup drops. */
export async function openPostgresFixture(
  server: PostgresServer,
  options: FixtureOptions = {},
): Promise<OutboxFixture & { readonly outbox: PostgresStore; readonly schema: string; readonly clock: ManualClock }> {
  const schema = newSchema();
  const clock = manualClock();
  const open = () => openOutbox(server, { ...options, schema, clock });
  let outbox = await open();
  return {
    get outbox() {
      return outbox;
    },
    clock,
    schema,
    async reopen() {
      await outbox.close();
      outbox = await open();
    },
    async cleanup() {
      await outbox.close();
      await query(server, `DROP SCHEMA "${schema}" CASCADE`);
    },
  };
}

/** Opens a replica on the machine's clock, which is closed after the test. */
export async function openReplica(
  t: TestContext,
  server: PostgresServer,
  options: OpenOptions = {},
): Promise<PostgresStore> {
  const outbox = await openOutbox(server, { clock: systemClock, ...options });
  t.after(() => outbox.close());
  return outbox;
}

/** Limits that are short enough for a test of what exceeds them. */
export const IMPATIENT = { connectMs: 3_000, answerMs: 3_000, statementMs: 2_500 };

export async function storeEvents(outbox: PostgresStore, ...eventIds: readonly string[]): Promise<void> {
  const put = await outbox.put(eventIds.map((id) => event(id)));
  assert.equal(put.outcome, 'stored', JSON.stringify(put));
}

export async function query(
  server: PostgresServer,
  sql: string,
  database?: string,
): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: server.url(database) });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
