import type { SharedPace, Turn } from '../shared-pace.ts';
import type { Database, Session } from './database.ts';

/** For one try: the 30 s of an upload, and settling what it delivered. After that another replica may try. */
const TRY_MS = 40_000;
/** While another replica tries. */
const ASK_AGAIN_MS = 1_000;
/** So that a stream that was resumed meanwhile does not wait for the whole of a long rest. */
const LONGEST_REST_MS = 5_000;

const GO: Turn = { restMs: 0, alone: false };

/** A row for each stream that rests, by the database's clock. Once its time is over, one replica may try for all. */
export function createPace(database: Database): SharedPace {
  /** A pace is only advice: without the database nothing is claimed either. */
  const orElse = <T>(fallback: T, work: (session: Session) => Promise<T>): Promise<T> =>
    database.transaction('write', work).catch(() => fallback);

  return {
    turn: (stream) =>
      orElse(GO, async (session): Promise<Turn> => {
        const [found] = await session.query<{ rest_ms: number }>(
          `SELECT ceil(extract(epoch FROM rests_until - clock_timestamp()) * 1000)::bigint AS rest_ms FROM paces
           WHERE stream = $1`,
          [stream],
        );
        if (found === undefined) return GO;
        if (found.rest_ms > 0) return { restMs: Math.min(LONGEST_REST_MS, found.rest_ms), alone: false };
        const taken = await session.run(
          `UPDATE paces SET rests_until = clock_timestamp() + $2 * interval '1 millisecond'
           WHERE stream = $1 AND rests_until <= clock_timestamp()`,
          [stream, TRY_MS],
        );
        return taken > 0 ? { restMs: 0, alone: true } : { restMs: ASK_AGAIN_MS, alone: false };
      }),
    rest: (stream, delayMs, wasAlone) =>
      orElse(undefined, async (session) => {
        await session.run(
          `INSERT INTO paces (stream, rests_until) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
           ON CONFLICT (stream) DO UPDATE SET rests_until = CASE WHEN $3 THEN excluded.rests_until
             ELSE greatest(paces.rests_until, excluded.rests_until) END`,
          [stream, Math.ceil(delayMs), wasAlone],
        );
      }),
    resume: (stream) =>
      orElse(undefined, async (session) => {
        await session.run('DELETE FROM paces WHERE stream = $1', [stream]);
      }),
  };
}
