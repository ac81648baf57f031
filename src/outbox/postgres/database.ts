import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { escapeIdentifier, escapeLiteral, Pool, type PoolClient, types } from 'pg';
import type { OutboxDatabase } from '../../config/outbox-url.ts';
import { within } from '../door.ts';
import { describe, isConnectionGone, isReadOnlyError, isWorthAnotherTry, LostError, sqlState } from './errors.ts';

export type DatabaseSettings = ReturnType<typeof settingsOf>;

/**
 * Where the database is and how to sign in, as pg takes it. Holds secrets: never logged. `token` fetches a token for the
 * database from Microsoft Entra; it is called only where OUTBOX_URL asks for one.
 */
export function settingsOf(url: OutboxDatabase, token: () => Promise<string>) {
  const { host, port, database, user, password, entra, files } = url;
  const tls: ConnectionOptions = {
    rejectUnauthorized: url.tls === 'verified',
    ...(files.sslrootcert !== null && { ca: readFileSync(files.sslrootcert) }),
    ...(files.sslcert !== null && { cert: readFileSync(files.sslcert) }),
    ...(files.sslkey !== null && { key: readFileSync(files.sslkey) }),
  };
  // Asked for each new connection, so that a token in place of a password is always a fresh one. A function, even if none
  // is needed, keeps pg from looking for one in files and variables.
  const signIn = entra ? token : async () => password ?? '';
  return { host, port, database, user, password: signIn, ssl: url.tls !== 'off' && tls };
}

/** The schema that holds the tables. */
export const DEFAULT_SCHEMA = 'apono_sentinel';

/** For people: where the outbox is, without user and password. */
export function placeOf({ host, port, database }: Pick<OutboxDatabase, 'host' | 'port' | 'database'>): string {
  return `${host}:${port}/${database}`;
}

const DEFAULT_LIMITS = {
  /** To open a connection, or to wait for a free one of the pool. */
  connectMs: 5_000,
  /** The server's limit for one statement, ... */
  statementMs: 4_000,
  /** ... and for waiting for a lock. */
  lockMs: 3_500,
  /**
   * The server's limit between two statements of a transaction. Below `lockMs`, so that others wait for what a replica had
   * locked when it was cut off, and do not fail.
   */
  idleMs: 2_500,
  /**
   * Our limit for an answer. Above `statementMs`: a server that is slow says so itself before, so that longer silence
   * means that the network or the server is gone.
   */
  answerMs: 5_000,
  /** The most that one process opens. */
  connections: 8,
};
export type Limits = Readonly<typeof DEFAULT_LIMITS>;

/** Runs a statement with parameters $1, $2, … in the open transaction, and gives its rows. */
export type Query = <Row extends object>(sql: string, params?: readonly unknown[]) => Promise<Row[]>;

/**
 * `put` keeps to what the server says by default, which may be read-only. `write` does not, since settling and purging is
 * what makes room again (ADR 17). `try` is a `put` that is rolled back.
 */
const ACCESS = { read: 'READ ONLY', put: '', write: 'READ WRITE', try: '' };
export type Mode = keyof typeof ACCESS;

export type Database = ReturnType<typeof openDatabase>;

/** So that connections are spread again after a failover, and a token of an hour is not outlived by much. */
const CONNECTION_LIFE_S = 1_800;
const CLOSE_LIMIT_MS = 400;
const MAX_TRIES = 5;
/** How long a call waits for a database that is known to be away. Meanwhile another replica may take the webhook. */
const AWAY_LIMIT_MS = 1_000;
/** bigint: all of ours are counts, sizes, times and tokens below 2^53. */
const INT8 = 20;

export function openDatabase(settings: DatabaseSettings, schema = DEFAULT_SCHEMA, given: Partial<Limits> = {}) {
  const limits = { ...DEFAULT_LIMITS, ...given };
  const place = placeOf(settings);
  const silence = new LostError(`nothing comes from ${place}`);
  const sockets = new Set<Socket>();
  let away: string | null = null;
  let looking: Promise<void> | null = null;

  const pool = new Pool({
    ...settings,
    application_name: 'apono-sentinel',
    connectionTimeoutMillis: limits.connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: {
      getTypeParser: (oid, format) => (oid === INT8 && format !== 'binary' ? Number : types.getTypeParser(oid, format)),
    },
    stream() {
      const socket = new Socket();
      sockets.add(socket);
      return socket.once('close', () => sockets.delete(socket));
    },
    max: limits.connections,
    idleTimeoutMillis: 30_000,
    maxLifetimeSeconds: CONNECTION_LIFE_S,
  });
  // Without these listeners a connection that ends while nobody uses it would end the process.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));

  /** Once one answer is overdue nothing else is expected from these connections. */
  function cut(): LostError {
    for (const socket of sockets) socket.destroy(silence);
    return silence;
  }

  /** What pg answers, within a limit. Errors that are not the server's own are a LostError. */
  async function ask<T>(asked: Promise<T>): Promise<T> {
    const limit = Promise.withResolvers<never>();
    let isOver = false;
    // The turn in between reads what came in while this process itself stood still: that is no fault of the server's.
    const timer = setTimeout(() => setImmediate(() => isOver || limit.reject(cut())), limits.answerMs);
    try {
      return await Promise.race([asked, limit.promise]);
    } catch (error) {
      throw lostUnlessSaid(error);
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  }

  /** The connection must be released, for good with `true`. */
  async function connect(): Promise<PoolClient> {
    try {
      return await pool.connect();
    } catch (error) {
      const isTimeout = error instanceof Error && sqlState(error) === null && /timeout/.test(error.message);
      throw isTimeout ? silence : lostUnlessSaid(error);
    }
  }

  /** A connection that died in the pool shows at its first statement, when nothing is done yet: the next one is tried. */
  async function begin(mode: Mode): Promise<PoolClient> {
    for (let tries = 0; ; tries++) {
      const client = await connect();
      try {
        await ask(client.query(beginSql(mode, schema, limits)));
        return client;
      } catch (error) {
        client.release(true);
        if (isUsable(error) || error === silence || tries > limits.connections) throw error;
      }
    }
  }

  async function once<T>(mode: Mode, work: (query: Query) => Promise<T>): Promise<T> {
    const client = await begin(mode);
    const query = async <Row extends object>(text: string, values: readonly unknown[] = []) =>
      (await ask(client.query<Row>({ text, values: values.map(withoutNul) }))).rows;
    try {
      const result = await work(query);
      await ask(client.query(mode === 'try' ? 'ROLLBACK' : 'COMMIT'));
      client.release();
      return result;
    } catch (error) {
      const isRolledBack = isUsable(error) && (await ask(client.query('ROLLBACK')).then(Boolean, () => false));
      client.release(!isRolledBack);
      throw error;
    }
  }

  /** While the database is away, one connection is tried for all calls, and none of them waits for its end. */
  async function refuseWhileAway(): Promise<void> {
    if (away === null) return;
    looking ??= once('read', async () => null)
      .catch(describe)
      .then((reason) => {
        away = reason;
        looking = null;
      });
    await within(looking, AWAY_LIMIT_MS);
    if (away !== null) throw new LostError(away);
  }

  return {
    place,
    schema,
    /**
     * Runs `work` in a transaction; what it returns is returned once that is committed and, unless it only read, synced.
     * Deadlocks are tried again, so that `work` may run more than once. Rejects with what went wrong: see errors.ts.
     */
    async transaction<T>(mode: Mode, work: (query: Query) => Promise<T>): Promise<T> {
      await refuseWhileAway();
      for (let tries = 1; ; tries++) {
        try {
          return await once(mode, work);
        } catch (error) {
          if (isConnectionGone(error)) away = describe(error);
          if (tries >= MAX_TRIES || !isWorthAnotherTry(error)) throw error;
        }
      }
    },
    /** Ends all connections; those over which nothing comes any more are cut. */
    async close(): Promise<void> {
      await within(pool.end(), CLOSE_LIMIT_MS);
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** No text of the database holds U+0000. An id that does is found nowhere. */
function withoutNul(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNul);
  return typeof value === 'string' ? value.replaceAll('\0', '\ufffd') : value;
}

/** Whether the connection that the error came over can be used again. */
function isUsable(error: unknown): boolean {
  return !isConnectionGone(error) && !isReadOnlyError(error);
}

/** What is not an error of the server's own is one of the connection. */
function lostUnlessSaid(error: unknown): unknown {
  if (error instanceof LostError || sqlState(error) !== null) return error;
  return new LostError(describe(error), { cause: error });
}

/** Everything that a promise rests on is set for each transaction, not for a connection (ADR 17). */
function beginSql(mode: Mode, schema: string, limits: Limits): string {
  const searchPath = escapeLiteral(`${escapeIdentifier(schema)}, pg_catalog, pg_temp`);
  // remote_apply waits for even more than "on", so it is left as it is.
  return `BEGIN ISOLATION LEVEL READ COMMITTED ${ACCESS[mode]};
    SELECT set_config('search_path', ${searchPath}, true)
      || set_config('statement_timeout', '${limits.statementMs}', true)
      || set_config('lock_timeout', '${limits.lockMs}', true)
      || set_config('idle_in_transaction_session_timeout', '${limits.idleMs}', true)
      || set_config('synchronous_commit',
        CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)`;
}
