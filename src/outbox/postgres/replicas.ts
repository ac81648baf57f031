import { escapeIdentifier } from 'pg';
import type { SharedPace, Turn } from '../port.ts';
import type { Database, Session } from './database.ts';
import type { PostgresEngineOptions } from './engine.ts';
import { describe } from './errors.ts';

/** What replicas on one database tell each other: that something waits, and that Azure asks for a pause. */

/**
 * The replica that stores an event also delivers it, so that others need not hear of each: once a second is enough, and
 * the server commits transactions with notifications one after the other.
 */
const TELL_INTERVAL_MS = 1_000;
/** Messages that come within this are one wake: anybody who can connect may send any number of them. */
const WAKE_INTERVAL_MS = 100;
const LISTEN_AGAIN_MS = 1_000;

interface WakerOptions extends Pick<PostgresEngineOptions, 'onWake' | 'clock' | 'log'> {
  readonly database: Database;
  readonly channel: string;
  /** Of this process, so that it does not wake itself. */
  readonly self: number;
}

export type Waker = ReturnType<typeof createWaker>;

/**
 * Tells the other replicas that something waits, and hears them (ADR 17). Keeps a connection that listens, and replaces it
 * whenever it is lost. What was said while there was none is lost: delivery looks at the outbox now and then anyway.
 */
export function createWaker({ database, channel, self, onWake, clock, log }: WakerOptions) {
  let toldAt = Number.NEGATIVE_INFINITY;
  let isStopped = false;
  let end = () => {};
  let cancelRetry = () => {};
  let cancelWake: (() => void) | null = null;

  /** In the transaction that stores it, so that nobody is woken too early. */
  async function tellNow(session: Session): Promise<void> {
    await session.run('SELECT pg_notify($1, $2)', [channel, String(self)]);
  }

  /** The same, and not more often than once a second. */
  async function tell(session: Session): Promise<void> {
    if (performance.now() - toldAt < TELL_INTERVAL_MS) return;
    toldAt = performance.now();
    await tellNow(session);
  }

  function hear(payload: string | undefined): void {
    if (payload === String(self)) return;
    cancelWake ??= clock.setTimer(WAKE_INTERVAL_MS, () => {
      cancelWake = null;
      onWake();
    });
  }

  async function listenOnce(isFirst: boolean): Promise<never> {
    const client = await database.connect();
    const lost = Promise.withResolvers<never>();
    end = () => lost.reject(new Error('the outbox is closed'));
    if (isStopped) end();
    client.on('error', lost.reject);
    client.on('end', () => lost.reject(new Error('the connection ended')));
    client.on('notification', ({ payload }) => hear(payload));
    try {
      await Promise.race([client.query(`LISTEN ${escapeIdentifier(channel)}`), lost.promise]);
      // For what was stored while nobody listened.
      if (!isFirst) onWake();
      return await lost.promise;
    } finally {
      client.release(true);
    }
  }

  function listen(isFirst: boolean): void {
    listenOnce(isFirst).catch((error: unknown) => {
      if (isStopped) return;
      log.debug(
        { code: 'outbox_listener_lost', error: describe(error) },
        'the connection that listens to PostgreSQL was lost and is made again',
      );
      cancelRetry = clock.setTimer(LISTEN_AGAIN_MS, () => listen(false));
    });
  }

  listen(true);
  return {
    tell,
    tellNow,
    stop() {
      isStopped = true;
      end();
      cancelRetry();
      cancelWake?.();
    },
  };
}

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
  const orElse = <T>(fallback: T, work: (session: Session) => Promise<T>): Promise<T> =>
    database.transaction('write', work).catch(() => fallback);
  const change = (sql: string, ...params: readonly unknown[]) =>
    orElse(undefined, async (session) => void (await session.run(sql, params)));

  return {
    turn: (stream) =>
      orElse(GO, async (session) => {
        const [found] = await session.query<{ restMs: number; alone: boolean }>(TURN, [stream, TRY_MS]);
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
      orElse(false, async (session) => {
        const sql = 'UPDATE paces SET rests_until = clock_timestamp() WHERE stream = $1 RETURNING stream';
        return (await session.query(sql, [stream])).length > 0;
      }),
  };
}
