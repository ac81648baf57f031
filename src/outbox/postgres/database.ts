import { Socket } from 'node:net';
import { type ClientBase, escapeLiteral, Pool, type PoolClient, type PoolConfig, type QueryConfig, types } from 'pg';
import { isConnectionGone, isWorthAnotherTry } from './errors.ts';
import { createLifeline, isServerThere, SilenceError } from './lifeline.ts';
import { type DatabaseSettings, type Limits, placeOf } from './settings.ts';

/** One open transaction. */
export interface Session {
  /** The rows of one statement with parameters $1, $2, … */
  query<Row extends object>(sql: string, params?: readonly unknown[]): Promise<Row[]>;
  /** The same for a statement that gives none: how many rows it changed. */
  run(sql: string, params?: readonly unknown[]): Promise<number>;
}

/**
 * `put` keeps to what the server says by default: Azure makes a server that runs out of storage read-only that way, so
 * that nothing new comes in. `write` does not, since settling and purging is what makes room again. `migrate` may wait for
 * another replica that migrates, and build an index.
 */
export type Mode = 'read' | 'put' | 'write' | 'migrate';

export interface Database {
  /**
   * Runs `work` in a transaction; what it returns is returned once that is committed and, unless it only read, synced. Deadlocks
   * are tried again, so that `work` may run more than once. Rejects with what went wrong: see errors.ts.
   */
  transaction<T>(mode: Mode, work: (session: Session) => Promise<T>): Promise<T>;
  /** Settings for a connection beside the pool. `socket` is the one that it must use. */
  clientConfig(socket: Socket): PoolConfig;
  /** Ends all connections; those over which nothing comes any more are cut. */
  close(): Promise<void>;
}

const KEEP_ALIVE_MS = 10_000;
const IDLE_CONNECTION_MS = 30_000;
/** So that connections spread anew after a failover, and a token of an hour is not outlived by much. */
const CONNECTION_LIFE_S = 1_800;
const CLOSE_LIMIT_MS = 400;
const MAX_TRIES = 4;
/** Building an index over a large backlog, or waiting for the replica that does. */
const MIGRATION_LIMIT_MS = 900_000;

/** bigint: all of ours are counts, sizes, times and tokens below 2^53. */
const INT8 = 20;

const ACCESS: Record<Mode, string> = { read: 'READ ONLY', put: '', write: 'READ WRITE', migrate: '' };

function beginSql(mode: Mode, schema: string, limits: Limits): string {
  const statementMs = mode === 'migrate' ? 0 : limits.statementMs;
  const lockMs = mode === 'migrate' ? 0 : limits.lockMs;
  // Per transaction, not per connection: it holds behind a pooler that shares connections, and no default of a role or a
  // database can weaken it.
  const settings = {
    search_path: `${quoteName(schema)}, pg_catalog, pg_temp`,
    statement_timeout: String(statementMs),
    lock_timeout: String(lockMs),
    idle_in_transaction_session_timeout: String(limits.idleMs),
  };
  const set = Object.entries(settings).map(([name, value]) => `set_config('${name}', ${escapeLiteral(value)}, true)`);
  // One statement with one result for all: each of its own costs both sides as much as BEGIN. The last one is promise 1; remote_apply
  // waits for even more, and is left as it is.
  return `BEGIN ISOLATION LEVEL READ COMMITTED ${ACCESS[mode]};
    SELECT ${set.join(' || ')} || set_config('synchronous_commit',
      CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)`;
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function openDatabase(settings: DatabaseSettings, schema: string, limits: Limits): Database {
  const sockets = new Set<Socket>();

  function clientConfig(socket: Socket): PoolConfig {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return { ...baseConfig(settings, limits), stream: () => socket };
  }

  const pool = new Pool({
    ...baseConfig(settings, limits),
    stream: () => {
      const socket = new Socket();
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      return socket;
    },
    max: limits.connections,
    idleTimeoutMillis: IDLE_CONNECTION_MS,
    maxLifetimeSeconds: CONNECTION_LIFE_S,
  });
  // An idle connection that ends is replaced by the next one who needs it; without a listener it would end the process.
  pool.on('error', () => undefined);
  // The same of one that is in use, between two statements: the next statement tells.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const begin: Record<Mode, string> = {
    read: beginSql('read', schema, limits),
    put: beginSql('put', schema, limits),
    write: beginSql('write', schema, limits),
    migrate: beginSql('migrate', schema, limits),
  };
  /** As it was reached: that a name does not resolve any more says nothing of the connections that there are. */
  const address = (): string =>
    [...sockets].map(({ remoteAddress }) => remoteAddress).find((each) => each !== undefined) ?? settings.host;
  const lifeline = createLifeline(
    () => isServerThere({ host: address(), port: settings.port }),
    () => {
      for (const socket of sockets) socket.destroy(new SilenceError(placeOf(settings)));
    },
  );
  let closed: Promise<void> | null = null;

  /** A connection that died in the pool shows at its first statement: the next one is tried then, nothing was done. */
  async function beginOnSound(mode: Mode): Promise<PoolClient> {
    const deadline = performance.now() + limits.connectMs;
    for (let tries = 0; ; tries++) {
      const client = await pool.connect();
      try {
        await client.query(begin[mode]);
        return client;
      } catch (error) {
        client.release(true);
        const isLast = tries >= limits.connections || performance.now() > deadline;
        if (isLast || error instanceof SilenceError || !isConnectionGone(error)) throw error;
      }
    }
  }

  async function watched<T>(mode: Mode, work: (session: Session) => Promise<T>): Promise<T> {
    if (mode === 'migrate') return once(mode, work);
    const answered = lifeline.waiting();
    try {
      return await once(mode, work);
    } finally {
      answered();
    }
  }

  async function once<T>(mode: Mode, work: (session: Session) => Promise<T>): Promise<T> {
    const client = await beginOnSound(mode);
    try {
      const result = await work(sessionOf(client, mode === 'migrate' ? MIGRATION_LIMIT_MS : limits.answerMs));
      await client.query('COMMIT');
      client.release();
      return result;
    } catch (error) {
      await giveBack(client, error);
      throw error;
    }
  }

  return {
    async transaction(mode, work) {
      for (let tries = 1; ; tries++) {
        try {
          return await watched(mode, work);
        } catch (error) {
          if (tries >= MAX_TRIES || !isWorthAnotherTry(error)) throw error;
        }
      }
    },
    clientConfig,
    close() {
      closed ??= endWithin(pool, sockets);
      return closed;
    },
  };
}

function baseConfig(settings: DatabaseSettings, limits: Limits): PoolConfig {
  const { host, port, database, user, password, tls } = settings;
  return {
    host,
    port,
    database,
    user,
    // A function, even for none, keeps pg from looking for one in files and variables.
    password: password ?? (async () => ''),
    ssl: tls === null ? false : { ...tls },
    application_name: 'apono-sentinel',
    connectionTimeoutMillis: limits.connectMs,
    query_timeout: limits.answerMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    types: {
      getTypeParser: (oid, format) => (oid === INT8 && format !== 'binary' ? Number : types.getTypeParser(oid, format)),
    },
  };
}

function sessionOf(client: ClientBase, answerMs: number): Session {
  const ask = <Row extends object>(text: string, values: readonly unknown[] = []) => {
    // pg takes a time limit for each query, which its types do not know.
    const config: QueryConfig & { readonly query_timeout: number } = {
      text,
      values: [...values],
      query_timeout: answerMs,
    };
    return client.query<Row>(config);
  };
  return {
    // The statement says what its rows are; the columns' types keep to it.
    query: async <Row extends object>(sql: string, params?: readonly unknown[]) => (await ask<Row>(sql, params)).rows,
    run: async (sql, params) => (await ask(sql, params)).rowCount ?? 0,
  };
}

/** Takes back what was done. A connection that cannot even do that is not used again. */
async function giveBack(client: PoolClient, error: unknown): Promise<void> {
  // What our own code threw between two statements says nothing of the connection.
  const isOurs = error instanceof RollbackError || error instanceof RangeError || error instanceof TypeError;
  if (!isOurs && isConnectionGone(error)) {
    client.release(true);
    return;
  }
  try {
    await client.query('ROLLBACK');
    client.release();
  } catch {
    client.release(true);
  }
}

/** Thrown by `work` to take its transaction back on purpose. */
export class RollbackError extends Error {
  override readonly name = 'RollbackError';
}

async function endWithin(pool: Pool, sockets: ReadonlySet<Socket>): Promise<void> {
  const { promise: limit, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, CLOSE_LIMIT_MS);
  const ended = pool.end().catch(() => undefined);
  await Promise.race([ended, limit]);
  clearTimeout(timer);
  for (const socket of sockets) socket.destroy();
}
