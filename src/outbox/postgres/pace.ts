import type { SharedPace, Turn } from '../port.ts';
import type { Database, Query } from './database.ts';

/** For one try: the 30 s of an upload, and settling what it delivered. After that another replica may try. */
const TRY_MS = 40_000;
/** While another replica tries. */
const ASK_AGAIN_MS = 1_000;
/** So that a stream that was resumed meanwhile does not wait for the whole of a long rest. */
const LONGEST_REST_MS = 5_000;

const GO: Turn = { restMs: 0, alone: false };

/** How much of a rest is left, and whether this replica has just taken the try that follows it. */
const TURN = `
  WITH taken AS (
    UPDATE paces SET rests_until = clock_timestamp() + $2 * interval '1 millisecond'
    WHERE stream = $1 AND rests_until <= clock_timestamp() RETURNING stream
  )
  SELECT ceil(extract(epoch FROM rests_until - clock_timestamp()) * 1000)::bigint AS "restMs",
    EXISTS (SELECT FROM taken) AS alone
  FROM paces WHERE stream = $1`;

/** A row for each stream that rests, by the database's clock. Once its time is over, one replica may try for all. */
export function createPace(database: Database): SharedPace {
  /** A pace is only advice: without the database nothing is claimed either. */
  const orElse = <T>(fallback: T, work: (query: Query) => Promise<T>): Promise<T> =>
    database.transaction('write', work).catch(() => fallback);
  const change = (sql: string, ...params: readonly unknown[]) =>
    orElse(undefined, async (query) => void (await query(sql, params)));

  return {
    turn: (stream) =>
      orElse(GO, async (query) => {
        const [found] = await query<{ restMs: number; alone: boolean }>(TURN, [stream, TRY_MS]);
        if (found === undefined) return GO;
        const { restMs, alone } = found;
        if (alone) return { restMs: 0, alone };
        return { restMs: restMs > 0 ? Math.min(LONGEST_REST_MS, restMs) : ASK_AGAIN_MS, alone };
      }),
    rest: (stream, delayMs, wasAlone) =>
      change(
        `INSERT INTO paces (stream, rests_until) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
         ON CONFLICT (stream) DO UPDATE SET rests_until = CASE WHEN $3 THEN excluded.rests_until
           ELSE greatest(paces.rests_until, excluded.rests_until) END`,
        stream,
        Math.ceil(delayMs),
        wasAlone,
      ),
    resume: (stream) => change('DELETE FROM paces WHERE stream = $1', stream),
    endRest: (stream) =>
      orElse(false, async (query) => {
        const sql = 'UPDATE paces SET rests_until = clock_timestamp() WHERE stream = $1 RETURNING stream';
        return (await query(sql, [stream])).length > 0;
      }),
  };
}
