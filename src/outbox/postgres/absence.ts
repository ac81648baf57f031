import type { Database } from './database.ts';
import { describe } from './errors.ts';

/** Whether the database is known to be away. */
export interface Absence {
  /** It could not be reached, and why. */
  begin(reason: string): void;
  /** Looks whether it is back; null: it is, or was never away. */
  reason(): Promise<string | null>;
}

const LIMIT_MS = 1_000;

/**
 * While the database is away, each group of puts looks whether it is back, for a second at most: a replica that is cut off
 * must not keep every webhook waiting for as long as the first one, since another replica may take it.
 */
export function createAbsence(database: Database): Absence {
  let away: string | null = null;
  let looking: Promise<void> | null = null;

  async function look(): Promise<void> {
    try {
      await database.transaction('put', async () => undefined);
      away = null;
    } catch (error) {
      away = describe(error);
    } finally {
      looking = null;
    }
  }

  return {
    begin(reason) {
      away = reason;
    },
    async reason() {
      if (away === null) return null;
      looking ??= look();
      const limit = Promise.withResolvers<void>();
      const timer = setTimeout(limit.resolve, LIMIT_MS);
      await Promise.race([looking, limit.promise]);
      clearTimeout(timer);
      return away;
    },
  };
}
