import type { Config } from '../config/config.ts';
import type { OutboxDatabase } from '../config/outbox-url.ts';
import { openSqlite } from './sqlite/engine.ts';
import { createStore, type StoreOptions } from './store.ts';

export interface OpenStoreOptions extends Pick<StoreOptions, 'clock' | 'onEvent'> {
  readonly outbox: Pick<Config['outbox'], 'database' | 'dataDir' | 'maxBytes'>;
  /** Gives a token for the database from Microsoft Entra. */
  readonly databaseToken: () => Promise<string>;
  readonly log: StoreLog;
  /** See OpenSqliteOptions. */
  readonly isSuspect?: boolean;
}

/** Where an engine logs: in the store thread, that is the main thread's log. */
export type StoreLog = Readonly<Record<'debug' | 'info' | 'warn' | 'error', (fields: object, message: string) => void>>;

export type OpenedStore = Awaited<ReturnType<typeof openStore>>;

/** A database that is started together with the service, or hands over to its standby, is there soon. */
const PATIENCE_MS = 15_000;

/**
 * Opens PostgreSQL if OUTBOX_URL is set, else SQLite in DATA_DIR, whose folder the caller has locked. Rejects with an
 * OutboxStartError. `damagedFile`: where the former database is, if it was damaged and a fresh one took its place.
 */
export async function openStore(options: OpenStoreOptions) {
  const { clock, onEvent, isSuspect = false } = options;
  const { database, dataDir, maxBytes } = options.outbox;
  const onCheckpointTrouble = (reason: string) =>
    onEvent({ type: 'trouble', operation: 'checkpoint', reason, isDamage: false });
  const opened =
    database === null
      ? openSqlite({ dataDir, maxBytes, nowMs: clock.now(), isSuspect, onCheckpointTrouble })
      : { engine: await openPostgres(options, database), damagedFile: null };
  return { store: createStore({ engine: opened.engine, clock, maxBytes, onEvent }), ...opened };
}

async function openPostgres({ outbox, databaseToken, clock, log }: OpenStoreOptions, url: OutboxDatabase) {
  // Loaded where it is needed: most installations have one replica and no server.
  const { openPostgresEngine } = await import('./postgres/engine.ts');
  const { settingsOf } = await import('./postgres/database.ts');
  const database = settingsOf(url, databaseToken);
  return openPostgresEngine({ database, maxBytes: outbox.maxBytes, clock, log, patienceMs: PATIENCE_MS });
}
