import { claimRows, RENEW, randomId } from './claim.ts';
import { type Database, openDatabase, type Session } from './database.ts';
import { DatabaseStartError, describe, isDiskFull, isForbidden, isReadOnlyError, toStartError } from './errors.ts';
import { storePuts } from './put.ts';
import { isReadOnly } from './records.ts';
import { readVersion, SCHEMA_VERSION } from './schema.ts';
import { type DatabaseSettings, DEFAULT_LIMITS, DEFAULT_SCHEMA, placeOf } from './settings.ts';
import { prune, purge, settleAll } from './settle.ts';

const OLDEST_SERVER = 130_000;

/** The schema as it was found, one that this service can use. */
export interface Examined {
  /** 0: there is none yet, and this user may make it. */
  readonly version: number;
  /** Of this service. */
  readonly known: number;
}

/**
 * Looks, as a start would, whether the database can be used: what it does there is rolled back. Rejects with an
 * OutboxStartError.
 */
export async function examineDatabase(settings: DatabaseSettings): Promise<Examined> {
  const schema = DEFAULT_SCHEMA;
  const database = openDatabase(settings, schema, DEFAULT_LIMITS);
  const place = placeOf(settings);
  try {
    const version = await database.transaction('read', async (session) => {
      if (await isReadOnly(session)) throw readOnly(place);
      return inspect(session, schema, place);
    });
    if (version > 0) await tryRights(database, schema, place);
    return { version, known: SCHEMA_VERSION };
  } catch (error) {
    throw toStartError(error, place);
  } finally {
    await database.close();
  }
}

/**
 * Whether the server keeps what the promises rest on, and the version of the tables: 0 if there are none and this user may
 * make them. Throws a DatabaseStartError.
 */
export async function inspect(session: Session, schema: string, place: string): Promise<number> {
  await inspectServer(session, place);
  return inspectSchema(session, schema, place);
}

async function inspectServer(session: Session, place: string): Promise<void> {
  const [found] = await session.query<{ version: number; fsync: string; synced: string; encoding: string }>(
    `SELECT current_setting('server_version_num')::integer AS version, current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synced, getdatabaseencoding() AS encoding`,
  );
  if (found === undefined) throw new Error('the server says nothing of its settings');
  const refuse = (problem: string, fix: string) => new DatabaseStartError('outbox_unsupported', problem, fix);
  if (found.version < OLDEST_SERVER) {
    throw refuse(`The server at ${place} is older than PostgreSQL 13 (${found.version})`, 'Use a later one.');
  }
  if (found.encoding !== 'UTF8') {
    throw refuse(`The database at ${place} has the encoding ${found.encoding}`, "Use one made with ENCODING 'UTF8'.");
  }
  if (found.fsync !== 'on' || !['on', 'remote_apply'].includes(found.synced)) {
    const settings = `fsync = ${found.fsync}, synchronous_commit = ${found.synced}`;
    throw refuse(
      `The server at ${place} does not keep what it commits (${settings})`,
      'Change that setting of the server, then start again.',
    );
  }
}

function readOnly(place: string): DatabaseStartError {
  const fix =
    'Webhooks would be answered 503. If it is a standby, name the primary in OUTBOX_URL; if it ran out of storage, give it ' +
    'more; else unset default_transaction_read_only of server, database and role.';
  return new DatabaseStartError('outbox_cannot_open', `The server at ${place} is read-only`, fix);
}

async function inspectSchema(session: Session, schema: string, place: string): Promise<number> {
  const [rights] = await session.query<{ found: boolean; enter: boolean; create: boolean }>(
    `SELECT n.oid IS NOT NULL AS found, n.oid IS NULL OR has_schema_privilege(n.oid, 'USAGE') AS enter,
       CASE WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
         ELSE has_schema_privilege(n.oid, 'CREATE') END AS create
     FROM (SELECT) AS one LEFT JOIN pg_namespace n ON n.nspname = $1`,
    [schema],
  );
  const { found, enter, create } = rights ?? { found: false, enter: false, create: false };
  const give = `As an administrator, in that database: ALTER SCHEMA ${schema} OWNER TO <the user>;`;
  if (!enter) throw mayNot(`use the schema ${schema}`, place, give);
  const version = await readVersion(session, schema);
  if (version > 0 || create) return version;
  const make = `As an administrator, in that database: CREATE SCHEMA ${schema} AUTHORIZATION <the user>;`;
  throw mayNot(`make ${found ? 'tables in ' : ''}the schema ${schema}`, place, found ? give : make);
}

function mayNot(what: string, place: string, fix: string): DatabaseStartError {
  return new DatabaseStartError('outbox_permission', `The user of OUTBOX_URL may not ${what} at ${place}`, fix);
}

/** Does once what a service does all the time, and rolls it back. Throws a DatabaseStartError for a missing right. */
export async function tryRights(database: Database, schema: string, place: string): Promise<void> {
  try {
    await database.transaction('try', useTables);
  } catch (error) {
    // A service starts on a server that takes nothing now: it delivers what waits, and shows that it is not ready.
    if (isReadOnlyError(error) || isDiskFull(error)) return;
    if (!isForbidden(error)) throw error;
    throw mayNot(
      `use the tables of the schema ${schema} as it must (${describe(error)})`,
      place,
      'Sign in as the role that owns them, or make the user a member of it: GRANT <owner> TO <the user>;',
    );
  }
}

async function useTables(session: Session): Promise<void> {
  const [number, id] = [randomId(), `probe ${randomId()}`];
  const at = { receivedAt: 0, feed: null, kind: id };
  const rows = { shared: '{}', own: ['{}', '{}'] };
  const event = { ...at, type: 'event', eventId: id, rows, mappedBytes: 2 } as const;
  const why = { charset: null, code: 'probe', reason: '' };
  const body = { ...at, ...why, type: 'quarantine', quarantineId: id, body: Buffer.of() } as const;
  await storePuts(session, [{ entries: [event, body], now: 0, resolves: null }]);
  await session.run(RENEW, [number, 1]);
  const only = { eventId: id, fromRow: 0 };
  await claimRows(session, { kind: id, maxEvents: 1, maxBytes: 1_000, except: [], only }, number, 1);
  await session.run('DELETE FROM replicas WHERE id = $1', [number]);
  const dead = [{ rows: [[1, 2]] as const, ...why }];
  await settleAll(session, [{ eventId: id, token: 1, delivered: [[0, 1]], dead, release: true }], 0);
  await purge(session, [id, id], 0);
  await prune(session, 1, 1);
  await session.run('INSERT INTO paces (stream, rests_until) VALUES ($1, now())', [id]);
  await session.run('DELETE FROM paces WHERE stream = $1', [id]);
  await session.run(`INSERT INTO write_probe (filler) VALUES ('')`);
  await session.run('DELETE FROM write_probe');
}
