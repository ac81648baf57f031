import { randomUUID } from 'node:crypto';
import type { Clock } from '../../ground/clock.ts';
import type { Logger } from '../../ground/log.ts';
import type { Commit } from '../commit.ts';
import { encodeCursor } from '../cursor.ts';
import type { MoveSource } from '../move.ts';
import { OutboxUnavailableError, type SettlementOutcome } from '../port.ts';
import type { OperableOutbox } from '../records.ts';
import { copyClaim, readList } from '../requests.ts';
import type { RestoreOutcome, SalvagedRecord } from '../salvaged.ts';
import type { SharedPace } from '../shared-pace.ts';
import { createClaim, readBodies } from './claim.ts';
import { type Connected, connect } from './connect.ts';
import { toStartError } from './errors.ts';
import { GroupQueue } from './group.ts';
import { createIntake } from './intake.ts';
import { listen, type OnWake } from './listen.ts';
import { postgresRecords } from './move.ts';
import { forgetReplicas, PRUNE_CHUNK, pruneChunk, purgeRecords, recordedUntil, reviveEvents } from './operate.ts';
import { createPace } from './pace.ts';
import { createPresence } from './presence.ts';
import { findRecords, listRecords, showRecord } from './records.ts';
import { restoreRecords } from './restore.ts';
import { type DatabaseSettings, DEFAULT_SCHEMA, type Limits, placeOf } from './settings.ts';
import { type SettleCall, settleCalls } from './settle.ts';
import { createStatsReader } from './stats-reader.ts';
import { createUsage } from './usage.ts';
import { createWaker } from './wake.ts';
import { createWork, type Work } from './work.ts';

export interface PostgresOutboxOptions {
  readonly database: DatabaseSettings;
  /** OUTBOX_MAX_BYTES: puts that would take what is stored past it are `full`. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called after each transaction of puts, for the metrics. */
  readonly onCommit?: (commit: Commit) => void;
  /** Another process stored something. Without it nothing listens. */
  readonly onWake?: OnWake;
  /** The schema that holds the tables; made if it is missing. */
  readonly schema?: string;
  /** How long claims hold after the last sign of life of their holder, by the database's clock. */
  readonly leaseMs?: number;
  readonly limits?: Partial<Limits>;
  /** For how long a database that is not there yet is waited for; default 0. */
  readonly patienceMs?: number;
}

export interface PostgresOutbox extends OperableOutbox, MoveSource {
  /** For delivery: see SharedPace. */
  readonly pace: SharedPace;
  /** As the SQLite engine's: stores records of another outbox; what is known here already stays as it is. */
  restore(records: readonly SalvagedRecord[]): Promise<RestoreOutcome>;
  /** Like `purge`, but the identities go too: see MoveSource. */
  takeAway(ids: readonly string[]): Promise<readonly boolean[]>;
}

/** Above the 30 s of an upload, so that a call under way when the database goes away for a moment is still its holder's. */
export const DEFAULT_LEASE_MS = 60_000;
/** Of the time to stop the service keeps two seconds for this (service.ts). */
const CLOSE_LIMIT_MS = 1_500;

/**
 * Opens the outbox in a PostgreSQL database, which any number of processes may do at once, and brings its schema to this
 * version. Rejects with an OutboxStartError, whose message says what to do.
 */
export async function openPostgresOutbox(options: PostgresOutboxOptions): Promise<PostgresOutbox> {
  const connected = await connect(options, options.schema ?? DEFAULT_SCHEMA);
  const self = randomUUID();
  const outbox = createOutbox(connected, self, options);
  // So that there are counts to show, should the database go away before anybody asks.
  await outbox.stats().catch(async (error: unknown) => {
    await outbox.close();
    throw toStartError(error, placeOf(options.database));
  });
  const { onWake, clock, log } = options;
  if (onWake === undefined) return outbox;
  const { database, channel } = connected;
  const stopListening = listen({ database, channel, self, onWake, clock, log });
  return {
    ...outbox,
    close() {
      stopListening();
      return outbox.close();
    },
  };
}

function createOutbox(
  { database, channel }: Connected,
  self: string,
  { clock, log, maxBytes, leaseMs = DEFAULT_LEASE_MS, onCommit = () => undefined }: PostgresOutboxOptions,
): PostgresOutbox {
  const usage = createUsage();
  const waker = createWaker(channel, self);
  const work = createWork(database, usage);
  const reader = createStatsReader({ database, usage, maxBytes, clock, log });
  const presence = createPresence({ database, clock, leaseMs, waker });
  const claim = createClaim(database);
  const settles = new GroupQueue<SettleCall, readonly SettlementOutcome[]>((calls) => settleCalls(database, calls));
  const now = neverBack(clock);
  let closed: Promise<void> | null = null;

  async function close(): Promise<void> {
    const limit = Promise.withResolvers<void>();
    // A database that does not answer must not hold up the end of the process. Without it the lease ends by itself.
    const cancel = clock.setTimer(CLOSE_LIMIT_MS, limit.resolve);
    const finished = work.finish().then(() => presence.leave());
    presence.stop();
    await Promise.race([finished, limit.promise]);
    cancel();
    await database.close();
  }

  return {
    put: createIntake({ database, usage, maxBytes, waker, onCommit, onHealth: reader.note, work, clock }),
    async claim(request) {
      const asks = copyClaim(request);
      return work.asked(async () => claim(asks, await presence.enter()));
    },
    bodies: (claims) => work.inTransaction('read', (session) => readBodies(session, claims)),
    settle: (settlements) => work.asked(() => settles.add({ settlements, now: now() })),
    stats: () => work.asked(() => reader.read()),
    prune: (deliveredBefore) => prune(work, deliveredBefore),
    recordedUntil: () => work.inTransaction('read', recordedUntil),
    async list(request) {
      const asks = readList(request);
      const { records, next } = await work.inTransaction('read', (session) => listRecords(session, asks));
      return { records, next: next === null ? null : encodeCursor(next) };
    },
    show: (id) => work.inTransaction('read', (session) => showRecord(session, id)),
    find: (start) => work.inTransaction('read', (session) => findRecords(session, start)),
    revive: (eventIds) =>
      work.inTransaction('write', async (session) => {
        const { counts, kinds } = await reviveEvents(session, eventIds);
        await waker.tell(session, new Map(kinds.map((kind) => [kind, 1])), { always: true });
        return counts;
      }),
    purge: (ids) => work.inTransaction('write', (session) => purgeRecords(session, ids, { deliveredAt: now() })),
    takeAway: (ids) => work.inTransaction('write', (session) => purgeRecords(session, ids, 'forget')),
    pace: createPace(database, () => work.isClosing),
    records: () => postgresRecords((act) => work.inTransaction('read', act)),
    restore: (records) => work.asked(() => restoreRecords(database, records, { usage, maxBytes, waker })),
    close() {
      closed ??= close();
      return closed;
    },
  };
}

/** Never goes back with the clock: an event that seems to be delivered earlier than it was is forgotten too early. */
function neverBack(clock: Clock): () => number {
  let latest = clock.now();
  return () => {
    latest = Math.max(latest, clock.now());
    return latest;
  };
}

/** In chunks, so that nobody waits long for a lock. A shutdown does not wait for the rest. */
async function prune(work: Work, deliveredBefore: number): Promise<number> {
  let forgotten = 0;
  try {
    await work.inTransaction('write', forgetReplicas);
    for (let more = true; more && !work.isClosing; ) {
      const chunk = await work.inTransaction('write', (session) => pruneChunk(session, deliveredBefore));
      forgotten += chunk;
      more = chunk === PRUNE_CHUNK;
    }
  } catch (error) {
    if (!(error instanceof OutboxUnavailableError)) throw error;
  }
  return forgotten;
}
