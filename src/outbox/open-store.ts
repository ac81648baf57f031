import type { Config } from '../config/config.ts';
import type { Clock } from '../ground/clock.ts';
import type { Engine } from './engine.ts';
import { openSqlite } from './sqlite/engine.ts';
import { createStore, type Store, type StoreEvent } from './store.ts';

export interface OpenStoreOptions {
  readonly outbox: Pick<Config['outbox'], 'database' | 'dataDir' | 'maxBytes'>;
  /** Gives a token for the database from Microsoft Entra. */
  readonly databaseToken: () => Promise<string>;
  readonly clock: Clock;
  readonly log: StoreLog;
  readonly onEvent: (event: StoreEvent) => void;
  /** See OpenSqliteOptions. */
  readonly isSuspect?: boolean;
}

/** Where an engine logs: in the store thread, that is the main thread's log. */
export type StoreLog = Readonly<Record<'debug' | 'info' | 'warn' | 'error', (fields: object, message: string) => void>>;

export interface OpenedStore {
  readonly store: Store;
  readonly engine: Engine;
  /** See OpenedSqlite. */
  readonly damagedFile: string | null;
}

/** A database that is started together with the service, or hands over to its standby, is there soon. */
const PATIENCE_MS = 15_000;

/**
 * Opens PostgreSQL if OUTBOX_URL is set, else SQLite in DATA_DIR, whose folder the caller has locked. Rejects with an
 * OutboxStartError.
 */
export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  const { engine, damagedFile } = await openEngine(options);
  const { clock, onEvent, outbox } = options;
  return { store: createStore({ engine, clock, maxBytes: outbox.maxBytes, onEvent }), engine, damagedFile };
}

async function openEngine({ outbox, databaseToken, clock, log, onEvent, isSuspect = false }: OpenStoreOptions) {
  const { database, dataDir, maxBytes } = outbox;
  if (database === null) {
    const onCheckpointTrouble = (reason: string) => onEvent({ type: 'trouble', operation: 'checkpoint', reason });
    return openSqlite({ dataDir, maxBytes, nowMs: clock.now(), isSuspect, onCheckpointTrouble });
  }
  // Loaded where it is needed: most installations have one replica and no server.
  const [{ openPostgresEngine }, { settingsOf }] = await Promise.all([
    import('./postgres/engine.ts'),
    import('./postgres/settings.ts'),
  ]);
  const engine = await openPostgresEngine({
    database: settingsOf(database, databaseToken),
    maxBytes,
    clock,
    log,
    onWake: () => onEvent({ type: 'waiting', kind: null, bytes: 1 }),
    patienceMs: PATIENCE_MS,
  });
  return { engine, damagedFile: null };
}
