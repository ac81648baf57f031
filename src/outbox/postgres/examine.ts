import { openDatabase, type Session } from './database.ts';
import { DatabaseStartError, toStartError } from './errors.ts';
import { inspect } from './inspect.ts';
import { readVersion, SCHEMA_VERSION } from './migrations.ts';
import { type DatabaseSettings, DEFAULT_LIMITS, DEFAULT_SCHEMA, placeOf } from './settings.ts';
import { isReadOnly } from './stats.ts';

/** The schema as it was found, one that this service can use. */
export interface Examined {
  /** 0: there is none yet, and this user may make it. */
  readonly version: number;
  /** Of this service; a lower version is brought to it at the start. */
  readonly known: number;
}

/**
 * Looks, as a start would, whether the database can be used: it connects, signs in and reads, and changes nothing. Rejects
 * with a DatabaseStartError.
 */
export async function examineDatabase(settings: DatabaseSettings, schema = DEFAULT_SCHEMA): Promise<Examined> {
  const database = openDatabase(settings, schema, DEFAULT_LIMITS);
  const place = placeOf(settings);
  try {
    return await database.transaction('read', async (session) => {
      await inspect(session, place);
      if (await isReadOnly(session)) throw readOnly(place);
      const rights = await rightsIn(session, schema);
      const give = `As an administrator, in that database: ALTER SCHEMA ${schema} OWNER TO <the user>;`;
      if (!rights.enter) throw mayNot(`use the schema ${schema}`, place, give);
      const version = await readVersion(session, schema);
      if (version > 0) await mayUseTables(session, schema, version, place);
      else if (!rights.create) {
        const make = `As an administrator, in that database: CREATE SCHEMA ${schema} AUTHORIZATION <the user>;`;
        throw mayNot(`make ${rights.found ? 'tables in ' : ''}the schema ${schema}`, place, rights.found ? give : make);
      }
      return { version, known: SCHEMA_VERSION };
    });
  } catch (error) {
    throw toStartError(error, place);
  } finally {
    await database.close();
  }
}

function readOnly(place: string): DatabaseStartError {
  const fix =
    'Webhooks would be answered 503. If it is a standby, name the primary in OUTBOX_URL; if it ran out of storage, give it ' +
    'more; else unset default_transaction_read_only of server, database and role.';
  return new DatabaseStartError('outbox_cannot_open', `The server at ${place} is read-only`, fix);
}

interface Rights {
  /** Whether the schema is there. */
  readonly found: boolean;
  readonly enter: boolean;
  readonly create: boolean;
}

async function rightsIn(session: Session, schema: string): Promise<Rights> {
  const [rights] = await session.query<Rights>(
    `SELECT n.oid IS NOT NULL AS found, n.oid IS NULL OR has_schema_privilege(n.oid, 'USAGE') AS enter,
       CASE WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
         ELSE has_schema_privilege(n.oid, 'CREATE') END AS create
     FROM (SELECT) AS one LEFT JOIN pg_namespace n ON n.nspname = $1`,
    [schema],
  );
  return rights ?? { found: false, enter: false, create: false };
}

function mayNot(what: string, place: string, fix: string): DatabaseStartError {
  return new DatabaseStartError('outbox_permission', `The user of OUTBOX_URL may not ${what} at ${place}`, fix);
}

async function mayUseTables(session: Session, schema: string, version: number, place: string): Promise<void> {
  // Changing a table is its owner's; the rest can be granted.
  const needed =
    version < SCHEMA_VERSION
      ? `pg_has_role(c.relowner, 'USAGE')`
      : ['SELECT', 'INSERT', 'UPDATE', 'DELETE'].map((right) => `has_table_privilege(c.oid, '${right}')`).join(' AND ');
  const refused = await session.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind = 'r' AND NOT (${needed}) ORDER BY 1`,
    [schema],
  );
  if (refused.length === 0) return;
  const tables = refused.map(({ name }) => name).join(', ');
  throw mayNot(
    `use the tables of the schema ${schema} as it must (${tables})`,
    place,
    'Sign in as the role that owns them, or make the user a member of it: GRANT <owner> TO <the user>;',
  );
}
