import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../../ground/clock.ts';
import { type Engine, type EngineState, fullness } from '../engine.ts';
import { sizeOf } from '../group.ts';
import type { StoreLog } from '../open-store.ts';
import type { SharedPace, Turn } from '../port.ts';
import { countRecords, createReads } from '../reads.ts';
import type { StoredRecord } from '../records.ts';
import { createHolder } from './claim.ts';
import { type Database, type DatabaseSettings, type Limits, type Mode, openDatabase, type Query } from './database.ts';
import { describe, isPassing, toEngineError, toStartError } from './errors.ts';
import { IS_READ_ONLY, makeTables, tryRights } from './examine.ts';
import { readRecords, setAside } from './move.ts';
import { storePuts } from './put.ts';
import { prune, purge, revive, settleAll } from './settle.ts';

export interface PostgresEngineOptions {
  readonly database: DatabaseSettings;
  /** OUTBOX_MAX_BYTES. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: StoreLog;
  /** The schema that holds the tables; made if it is missing. */
  readonly schema?: string;
  /** How long claims hold after the last sign of life of their holder, by the database's clock. */
  readonly leaseMs?: number;
  readonly limits?: Partial<Limits>;
  /** How long to wait at the start for a database that is not there yet; default 0. */
  readonly patienceMs?: number;
}

/** Above the 30 s of an upload, so that a call under way when the database goes away for a moment is still its holder's. */
const LEASE_MS = 60_000;
const PAUSE_MS = 500;
const COUNT_INTERVAL_MS = 1_000;
/** What a record takes beside its body: row, indexes, dead letters, and the versions that wait for a vacuum. */
const RECORD_BYTES = 512;
const IDENTITY_BYTES = 200;

/**
 * Opens the outbox in a PostgreSQL database, which any number of processes may do at once, and makes its tables if there
 * are none. Rejects with an OutboxStartError, whose message says what to do.
 */
export async function openPostgresEngine(options: PostgresEngineOptions): Promise<Engine> {
  const { clock, maxBytes, leaseMs = LEASE_MS } = options;
  const database = openDatabase(options.database, options.schema, options.limits);
  await prepare(database, options);
  const holder = createHolder(database, { leaseMs, clock });

  /** As counted last, and what this process has stored since. */
  let usedBytes = 0;
  let countedAt = Number.NEGATIVE_INFINITY;

  const run = <T>(mode: Mode, work: (query: Query) => Promise<T>): Promise<T> =>
    database.transaction(mode, work).catch(rejectAsEngine);

  /** Only what is new needs room: a duplicate is answered even when the outbox is full. */
  async function admit(query: Query, added: readonly StoredRecord[]): Promise<void> {
    const records = added.filter(({ type }) => type !== 'identity');
    if (records.length === 0) return;
    usedBytes += sizeOf(records) + records.length * RECORD_BYTES;
    // Counting walks the backlog, so it is not done each time (ADR 17).
    if (performance.now() - countedAt >= COUNT_INTERVAL_MS || usedBytes >= 0.9 * maxBytes) {
      ({ dataBytes: usedBytes } = await readState(query));
      countedAt = performance.now();
    }
    const full = fullness({ dataBytes: usedBytes, logBytes: 0 }, maxBytes);
    if (full !== null) throw full;
  }

  return {
    commit: (puts) =>
      run('put', async (query) => {
        const { added, stored } = await storePuts(query, puts);
        await admit(query, added);
        return stored;
      }),
    claim: (request) => holder.claim(request).catch(rejectAsEngine),
    settle: (settlements, now) => run('write', (query) => settleAll(query, settlements, now)),
    read: () => run('read', readState),
    probe: () =>
      run('put', async (query) => {
        // As large as an ordinary webhook: a disk that is full for those may still have room for a byte.
        const filler = `decode(repeat(md5(random()::text), 4096), 'hex')`;
        await query(`INSERT INTO write_probe (filler) VALUES (${filler})`);
        await query('DELETE FROM write_probe');
      }),
    prune: (deliveredBefore, limit) => run('write', (query) => prune(query, deliveredBefore, limit)),
    ...createReads((work) => run('read', work)),
    revive: (eventIds) => run('write', (query) => revive(query, eventIds)),
    purge: (ids, now) => run('write', (query) => purge(query, ids, now)),
    records: () => readRecords((work) => run('read', work)),
    setAside: (now) => setAside(database, now).catch(rejectAsEngine),
    pace: createPace(database),
    async close() {
      await holder.leave();
      await database.close();
    },
  };
}

/** How many identities there are is the server's own estimate. */
const SERVER_STATE = `SELECT greatest(reltuples, 0)::bigint AS known, ${IS_READ_ONLY} AS "isReadOnly"
  FROM pg_class WHERE oid = 'events'::regclass`;

/** Counts, ages and sizes, those of the open transaction included; with an allowance for each record (ADR 17). */
async function readState(query: Query): Promise<EngineState> {
  const counts = await countRecords(query);
  const [found] = await query<{ known: number; isReadOnly: boolean }>(SERVER_STATE);
  const { known, isReadOnly } = found ?? { known: 0, isReadOnly: false };
  const ofRecords = counts.reduce((sum, { count, bytes }) => sum + bytes + count * RECORD_BYTES, 0);
  const refuses = isReadOnly ? 'the database is read-only: a standby, or set so' : null;
  return { counts, dataBytes: ofRecords + known * IDENTITY_BYTES, logBytes: 0, refuses };
}

function rejectAsEngine(error: unknown): never {
  throw toEngineError(error);
}

/** Signs in, looks at what the promises rest on, makes the tables, and tries to use them. */
async function prepare(database: Database, { log, patienceMs = 0 }: PostgresEngineOptions): Promise<void> {
  const { place } = database;
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      await makeTables(database);
      return await tryRights(database);
    } catch (error) {
      if (!isPassing(error) || performance.now() > deadline) {
        await database.close();
        throw toStartError(error, place);
      }
      log.warn(
        { code: 'outbox_database_away', place, error: describe(error) },
        'the database of the outbox is not there yet',
      );
      await pause(PAUSE_MS);
    }
  }
}

/** For one try: the 30 s of an upload, and settling what it delivered. After that another replica may try. */
const TRY_MS = 40_000;
/** While another replica tries. */
const ASK_AGAIN_MS = 1_000;
/** So that a stream that was resumed meanwhile does not wait for the whole of a long rest. */
const LONGEST_REST_MS = 5_000;

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
function createPace(database: Database): SharedPace {
  const run = <Row extends object>(sql: string, ...params: readonly unknown[]) =>
    database.transaction('write', (query) => query<Row>(sql, params));

  return {
    async turn(stream) {
      const [found] = await run<Turn>(TURN, stream, TRY_MS);
      if (found === undefined || found.alone) return { restMs: 0, alone: found !== undefined };
      return { restMs: found.restMs > 0 ? Math.min(LONGEST_REST_MS, found.restMs) : ASK_AGAIN_MS, alone: false };
    },
    async rest(stream, delayMs, wasAlone) {
      await run(
        `INSERT INTO paces (stream, rests_until) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
         ON CONFLICT (stream) DO UPDATE SET rests_until = CASE WHEN $3 THEN excluded.rests_until
           ELSE greatest(paces.rests_until, excluded.rests_until) END`,
        stream,
        Math.ceil(delayMs),
        wasAlone,
      );
    },
    async resume(stream) {
      await run('DELETE FROM paces WHERE stream = $1', stream);
    },
    async endRest(stream) {
      const sql = 'UPDATE paces SET rests_until = clock_timestamp() WHERE stream = $1 RETURNING stream';
      return (await run(sql, stream)).length > 0;
    },
  };
}
