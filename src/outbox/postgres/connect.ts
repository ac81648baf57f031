import { setTimeout as pause } from 'node:timers/promises';
import { type Database, openDatabase } from './database.ts';
import { describe, isConnectionGone, toStartError } from './errors.ts';
import { inspect } from './inspect.ts';
import { migrate } from './migrations.ts';
import type { PostgresOutboxOptions } from './outbox.ts';
import { DEFAULT_LIMITS, placeOf } from './settings.ts';
import { sqlState } from './sql-state.ts';

export interface Connected {
  readonly database: Database;
  /** On which the processes of this outbox talk. */
  readonly channel: string;
}

const PAUSE_MS = 500;

/** Signs in, looks at what the promises rest on, and migrates. Rejects with an OutboxStartError. */
export async function connect(options: PostgresOutboxOptions, schema: string): Promise<Connected> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const database = openDatabase(options.database, schema, limits);
  const place = placeOf(options.database);
  const deadline = performance.now() + (options.patienceMs ?? 0);
  try {
    for (;;) {
      try {
        await database.transaction('put', (session) => inspect(session, place));
        await migrate(database, schema);
        return { database, channel: schema };
      } catch (error) {
        if (!isPassing(error) || performance.now() > deadline) throw error;
        options.log.warn(
          { code: 'outbox_database_away', place, error: describe(error) },
          'the database of the outbox is not there yet',
        );
        await pause(PAUSE_MS);
      }
    }
  } catch (error) {
    await database.close();
    throw toStartError(error, place);
  }
}

/** Refused, starting up, shutting down. A name that is unknown, or a wrong password, is told at once. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof Error) || error.name === 'OutboxStartError') return false;
  if (sqlState(error) !== null) return isConnectionGone(error) && sqlState(error) !== '25006';
  return 'code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ECONNRESET');
}
