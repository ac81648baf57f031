import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { OutboxDatabase } from '../../config/outbox-url.ts';

/** Where the database is and how to sign in, as pg takes it. Holds secrets: never logged. */
export interface DatabaseSettings extends Pick<OutboxDatabase, 'host' | 'port' | 'database' | 'user'> {
  /**
   * Asked for each new connection, so that a token in place of a password is always a fresh one. A function, even if none
   * is needed, keeps pg from looking for one in files and variables.
   */
  readonly password: () => Promise<string>;
  readonly ssl: ConnectionOptions | false;
}

/** `token` fetches a token for the database from Microsoft Entra; it is called only where OUTBOX_URL asks for one. */
export function settingsOf(url: OutboxDatabase, token: () => Promise<string>): DatabaseSettings {
  const { host, port, database, user, password, entra, files } = url;
  const tls = {
    rejectUnauthorized: url.tls === 'verified',
    ...(files.sslrootcert !== null && { ca: readFileSync(files.sslrootcert) }),
    ...(files.sslcert !== null && { cert: readFileSync(files.sslcert) }),
    ...(files.sslkey !== null && { key: readFileSync(files.sslkey) }),
  };
  const signIn = entra ? token : async () => password ?? '';
  return { host, port, database, user, password: signIn, ssl: url.tls === 'off' ? false : tls };
}

/** The schema that holds the tables. */
export const DEFAULT_SCHEMA = 'apono_sentinel';

/** For people: where the outbox is, without user and password. */
export function placeOf({ host, port, database }: Pick<DatabaseSettings, 'host' | 'port' | 'database'>): string {
  return `${host}:${port}/${database}`;
}

export const DEFAULT_LIMITS = {
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
