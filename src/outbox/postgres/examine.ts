import { escapeIdentifier } from 'pg';
import { OutboxStartError } from '../engine.ts';
import type { StoredRecord } from '../records.ts';
import { claimRows, RENEW, randomId } from './claim.ts';
import { type Database, type DatabaseSettings, openDatabase, type Query } from './database.ts';
import { describe, isDiskFull, isForbidden, isReadOnlyError, toStartError } from './errors.ts';
import { storePuts } from './put.ts';
import { OWNER, SCHEMA, SCHEMA_VERSION } from './schema.ts';
import { prune, purge, settleAll } from './settle.ts';

const OLDEST_SERVER = 130_000;

/** A standby, or a server that was made read-only, as Azure does with one that runs out of storage. */
export const IS_READ_ONLY = `(pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean)`;

export type Examined = Awaited<ReturnType<typeof examineDatabase>>;

/**
 * Looks, as a start would, whether the database can be used: what it does there is rolled back. The `version` of its
 * schema is 0 if there is none and this user may make it; `known` is that of this service. Rejects with an OutboxStartError.
 */
export async function examineDatabase(settings: DatabaseSettings) {
  const database = openDatabase(settings);
  const { place } = database;
  try {
    const { version } = await database.transaction('read', async (query) => {
      if ((await query(`SELECT WHERE ${IS_READ_ONLY}`)).length > 0) {
        throw new OutboxStartError('outbox_cannot_open', `The server at ${place} is read-only`, READ_ONLY_FIX);
      }
      return inspect(query, database);
    });
    if (version > 0) await tryRights(database);
    return { version, known: SCHEMA_VERSION };
  } catch (error) {
    throw toStartError(error, place);
  } finally {
    await database.close();
  }
}

const READ_ONLY_FIX =
  'Webhooks would be answered 503. If it is a standby, name the primary in OUTBOX_URL; if it ran out of storage, give it ' +
  'more; else unset default_transaction_read_only of server, database and role.';

/** Makes the tables if there are none. Any number of replicas may do so at once: one makes them, the others wait for it. */
export function makeTables(database: Database): Promise<void> {
  const { schema } = database;
  return database.transaction('put', async (query) => {
    await query('SELECT pg_advisory_xact_lock(hashtext($1))', [`${OWNER} ${schema}`]);
    const { version, isThere } = await inspect(query, database);
    if (version > 0) return;
    // An administrator may have made the schema for a user who may not.
    if (!isThere) await query(`CREATE SCHEMA ${escapeIdentifier(schema)}`);
    await query(SCHEMA);
  });
}

interface Facts {
  readonly server: number;
  readonly fsync: string;
  readonly synced: string;
  readonly encoding: string;
  /** The schema, and what this user may do with it. */
  readonly isThere: boolean;
  readonly mayUse: boolean;
  readonly mayMake: boolean;
  readonly tables: readonly string[];
}

const FACTS = `
  SELECT current_setting('server_version_num')::integer AS server, current_setting('fsync') AS fsync,
    current_setting('synchronous_commit') AS synced, getdatabaseencoding() AS encoding,
    n.oid IS NOT NULL AS "isThere", n.oid IS NULL OR has_schema_privilege(n.oid, 'USAGE') AS "mayUse",
    CASE WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
      ELSE has_schema_privilege(n.oid, 'CREATE') END AS "mayMake",
    ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = n.oid) AS tables
  FROM (SELECT) AS one LEFT JOIN pg_namespace n ON n.nspname = $1`;

/**
 * Whether the server keeps what the promises rest on, and the version of the tables: 0 if there are none and this user may
 * make them. Throws an OutboxStartError.
 */
async function inspect(query: Query, { schema, place }: Database) {
  const [facts] = await query<Facts>(FACTS, [schema]);
  if (facts === undefined) throw new Error('the server says nothing of its settings');
  checkServer(facts, place);
  const { isThere, mayUse, mayMake, tables } = facts;
  const own = isThere ? `ALTER SCHEMA ${schema} OWNER TO` : `CREATE SCHEMA ${schema} AUTHORIZATION`;
  const fix = `As an administrator, in that database: ${own} <the user>;`;
  if (!mayUse) throw mayNot(`use the schema ${schema}`, place, fix);
  if (tables.includes('outbox_version')) return { isThere, version: await readVersion(query, schema) };
  if (tables.length > 0) {
    const problem = `The schema ${schema} holds tables of another program`;
    throw new OutboxStartError('outbox_foreign_database', problem, 'Name a database of its own in OUTBOX_URL.');
  }
  if (mayMake) return { isThere, version: 0 };
  throw mayNot(`make ${isThere ? 'tables in ' : ''}the schema ${schema}`, place, fix);
}

function checkServer({ server, encoding, fsync, synced }: Facts, place: string): void {
  const refuse = (problem: string, fix: string) => new OutboxStartError('outbox_unsupported', problem, fix);
  if (server < OLDEST_SERVER) {
    throw refuse(`The server at ${place} is older than PostgreSQL 13 (${server})`, 'Use a later one.');
  }
  if (encoding !== 'UTF8') {
    throw refuse(`The database at ${place} has the encoding ${encoding}`, "Use one made with ENCODING 'UTF8'.");
  }
  if (fsync === 'on' && ['on', 'remote_apply'].includes(synced)) return;
  const settings = `fsync = ${fsync}, synchronous_commit = ${synced}`;
  const problem = `The server at ${place} does not keep what it commits (${settings})`;
  throw refuse(problem, 'Change that setting of the server, then start again.');
}

/** Throws an OutboxStartError for tables that this version cannot use. */
async function readVersion(query: Query, schema: string): Promise<number> {
  const [row] = await query<{ version: number; worksFrom: number }>(
    'SELECT version, works_from AS "worksFrom" FROM outbox_version',
  );
  const { version, worksFrom } = row ?? { version: 1, worksFrom: 1 };
  if (worksFrom > SCHEMA_VERSION) {
    const versions = `its version is ${version} and works with ${worksFrom} or later, this service knows ${SCHEMA_VERSION}`;
    const problem = `The schema ${schema} was made by a later version (${versions})`;
    throw new OutboxStartError('outbox_newer_version', problem);
  }
  if (version >= SCHEMA_VERSION) return version;
  throw new OutboxStartError(
    'outbox_older_version',
    `The schema ${schema} was written by a version before 0.1.0, whose tables this one cannot read`,
    'Let that version deliver what waits; then give this one a database of its own, or drop that schema.',
  );
}

function mayNot(what: string, place: string, fix: string): OutboxStartError {
  return new OutboxStartError('outbox_permission', `The user of OUTBOX_URL may not ${what} at ${place}`, fix);
}

/** Does once what a service does all the time, and rolls it back. Throws an OutboxStartError for a missing right. */
export async function tryRights(database: Database): Promise<void> {
  try {
    await database.transaction('try', useTables);
  } catch (error) {
    // A service starts on a server that takes nothing now: it delivers what waits, and shows that it is not ready.
    if (isReadOnlyError(error) || isDiskFull(error)) return;
    if (!isForbidden(error)) throw error;
    const what = `use the tables of the schema ${database.schema} as it must (${describe(error)})`;
    const fix = 'Sign in as the role that owns them, or make the user a member of it: GRANT <owner> TO <the user>;';
    throw mayNot(what, database.place, fix);
  }
}

async function useTables(query: Query): Promise<void> {
  const [number, id] = [randomId(), `probe ${randomId()}`];
  const at = { kind: id, receivedAt: 0, storedAt: 0, feed: null };
  const why = { code: 'probe', reason: '' };
  const rows = { shared: '{}', own: '{}\n{}', rowCount: 2, mappedBytes: 2 };
  const records: StoredRecord[] = [
    { type: 'event', eventId: id, ...at, ...rows, pending: [[0, 2]], deadLetters: [] },
    { type: 'quarantine', quarantineId: id, ...at, ...why, charset: null, body: Buffer.of() },
  ];
  await storePuts(query, [{ records, resolves: null }]);
  await query(RENEW, [number, 1]);
  const only = { eventId: id, fromRow: 0 };
  await claimRows(query, { kind: id, maxEvents: 1, maxBytes: 1_000, except: [], only }, number, 1);
  await query('DELETE FROM replicas WHERE id = $1', [number]);
  const dead = [{ rows: [[1, 2]] as const, ...why }];
  await settleAll(query, [{ eventId: id, token: 1, delivered: [[0, 1]], dead, release: true }], 0);
  await purge(query, [id, id], 0);
  await prune(query, 1, 1);
  await query('INSERT INTO paces (stream, rests_until) VALUES ($1, now())', [id]);
  await query('DELETE FROM paces WHERE stream = $1', [id]);
  await query(`INSERT INTO write_probe (filler) VALUES ('')`);
  await query('DELETE FROM write_probe');
}
