import type { Config } from '../config/config.ts';
import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { Commit } from './commit.ts';
import type { OnWake } from './postgres/listen.ts';
import type { OperableOutbox } from './records.ts';
import { ownPace, type SharedPace } from './shared-pace.ts';
import { openSqliteOutbox } from './sqlite/outbox.ts';
import { storeId } from './sqlite/store-id.ts';

export interface OpenOptions {
  readonly outbox: Config['outbox'];
  /** A token for the database, from Microsoft Entra. */
  readonly databaseToken: () => Promise<string>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onFatal: (error: Error) => void;
  readonly onCommit: (commit: Commit) => void;
  /** Another process stored something: see OnWake. */
  readonly onWake: OnWake;
}

/** A database that is started together with the service, or hands over to its standby, is there soon. */
const PATIENCE_MS = 15_000;

/** The outbox of a service, whichever engine it is. */
export interface OpenedOutbox extends OperableOutbox {
  /** Where a damaged database lies that was set aside; null: none does. */
  readonly damagedFile: string | null;
  /** Tells the outboxes of one machine apart; null: it is not one of this machine. */
  readonly storeId: string | null;
  /** For delivery: see SharedPace. */
  readonly pace: SharedPace;
  /** The folder on whose file system it lies; null: it is not on this machine. */
  readonly folder: string | null;
}

/** Opens PostgreSQL where OUTBOX_URL is set, else SQLite in DATA_DIR. Rejects with an OutboxStartError. */
export async function openOutbox(options: OpenOptions): Promise<OpenedOutbox> {
  const { clock, log, onCommit, onWake, onFatal } = options;
  const { database, dataDir, maxBytes } = options.outbox;
  if (database === null) {
    const outbox = await openSqliteOutbox({ dataDir, maxBytes, clock, log, onFatal, onCommit });
    return {
      ...outbox,
      storeId: storeId(dataDir),
      folder: dataDir,
      pace: ownPace,
      get damagedFile() {
        return outbox.damagedFile;
      },
    };
  }
  // Loaded where it is needed: most installations have one replica and no server.
  const [{ openPostgresOutbox }, { settingsOf }] = await Promise.all([
    import('./postgres/outbox.ts'),
    import('./postgres/settings-of.ts'),
  ]);
  const settings = settingsOf(database, options.databaseToken);
  const outbox = await openPostgresOutbox({
    database: settings,
    maxBytes,
    clock,
    log,
    onCommit,
    onWake,
    patienceMs: PATIENCE_MS,
  });
  return { ...outbox, damagedFile: null, storeId: null, folder: null };
}
