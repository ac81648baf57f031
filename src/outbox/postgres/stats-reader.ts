import type { Clock } from '../../ground/clock.ts';
import type { Logger } from '../../ground/log.ts';
import { type OutboxStats, OutboxUnavailableError } from '../port.ts';
import type { Database } from './database.ts';
import { describe } from './errors.ts';
import { fullness, isReadOnly, readStats, tryToWrite } from './stats.ts';
import type { Usage } from './usage.ts';

export interface StatsReader {
  /** The last ones that are known where the database does not answer, not writable then. */
  read(): Promise<OutboxStats>;
  /** How the last put ended: what was wrong, or null. */
  note(problem: string | null): void;
}

/** Health checks have limits of a second or two: the last counts that are known are better than no answer. */
const LIMIT_MS = 1_500;

export function createStatsReader(parts: {
  readonly database: Database;
  readonly usage: Usage;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
}): StatsReader {
  const { database, usage, maxBytes, clock, log } = parts;
  let problem: string | null = null;
  let last: OutboxStats | null = null;
  let flight: Promise<OutboxStats> | null = null;

  function note(found: string | null): void {
    if (problem === null && found !== null) {
      log.error({ code: 'outbox_unwritable', error: found }, 'the database does not take what is put');
    } else if (problem !== null && found === null) {
      log.info({ code: 'outbox_writable' }, 'the database takes what is put again');
    }
    problem = found;
  }

  async function look(): Promise<OutboxStats> {
    if (problem !== null) {
      await database.transaction('put', tryToWrite);
      note(null);
    }
    const { stats, readOnly } = await database.transaction('read', async (session) => ({
      stats: await readStats(session, usage, maxBytes),
      readOnly: await isReadOnly(session),
    }));
    const found = readOnly ? 'the database is read-only: a standby, or set so' : fullness(stats.usedBytes, maxBytes);
    last = { ...stats, writable: found === null, problem: found };
    return last;
  }

  /** Counts may be known although it cannot be written. */
  async function lookOrExplain(): Promise<OutboxStats> {
    try {
      return await look();
    } catch (error) {
      const reason = describe(error);
      note(reason);
      const stats = await database
        .transaction('read', (session) => readStats(session, usage, maxBytes))
        .catch(() => last);
      if (stats === null) throw new OutboxUnavailableError(reason, { cause: error });
      last = { ...stats, writable: false, problem: reason };
      return last;
    }
  }

  return {
    async read() {
      flight ??= lookOrExplain().finally(() => {
        flight = null;
      });
      const known = last;
      if (known === null) return flight;
      const limit = Promise.withResolvers<OutboxStats>();
      const cancel = clock.setTimer(LIMIT_MS, () =>
        limit.resolve({
          ...known,
          writable: false,
          problem: problem ?? `the database did not answer within ${LIMIT_MS} ms`,
        }),
      );
      try {
        return await Promise.race([flight, limit.promise]);
      } finally {
        cancel();
      }
    },
    note,
  };
}
