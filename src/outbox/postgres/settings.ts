import type { ConnectionOptions } from 'node:tls';

/** Where the database is and how to sign in. Holds secrets: never logged. */
export interface DatabaseSettings {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** Asked for each new connection, so that a token in place of a password is always a fresh one; null: none is needed. */
  readonly password: (() => Promise<string>) | null;
  /** Null: the connection is not encrypted. */
  readonly tls: Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'rejectUnauthorized'> | null;
}

/** That holds the tables. */
export const DEFAULT_SCHEMA = 'apono_sentinel';

/** For people: where the outbox is, without user and password. */
export function placeOf({ host, port, database }: Pick<DatabaseSettings, 'host' | 'port' | 'database'>): string {
  return `${host}:${port}/${database}`;
}

export interface Limits {
  /** To open a connection, or to wait for a free one of the pool. */
  readonly connectMs: number;
  /** The server's limit for one statement, ... */
  readonly statementMs: number;
  /** ... and for waiting for a lock. */
  readonly lockMs: number;
  /**
   * The server's limit between two statements of a transaction. Below `lockMs`: what a replica had locked that was cut off
   * in the middle makes others wait, and none of them fail.
   */
  readonly idleMs: number;
  /** Ours for an answer, above the server's: for a connection over which nothing comes any more. */
  readonly answerMs: number;
  /** Connections of the pool; one more listens. */
  readonly connections: number;
}

export const DEFAULT_LIMITS: Limits = {
  connectMs: 5_000,
  statementMs: 12_000,
  lockMs: 5_000,
  idleMs: 3_000,
  answerMs: 15_000,
  connections: 8,
};
