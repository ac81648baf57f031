import type { Config } from '../config/config.ts';
import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { Trouble } from './door.ts';
import { OutboxUnavailableError, ownPace, type Queue, type Receive, type SharedPace } from './port.ts';
import type { OutboxRecords } from './records.ts';
import { storeId } from './sqlite/lock.ts';
import { lockFolder } from './sqlite/open.ts';
import { findDamaged, tellIncompleteSets } from './sqlite/set-aside.ts';
import type { StoreEvent } from './store.ts';
import { type LinkOptions, openLink } from './thread/link.ts';

export interface OpenOptions extends Pick<LinkOptions, 'databaseToken' | 'log' | 'onEvent' | 'onFatal'> {
  readonly config: Pick<Config, 'outbox' | 'ingestion' | 'webhook'>;
  readonly clock: Clock;
}

/** For /healthz: it holds no data of an event. */
export interface StoreTrouble extends Omit<Trouble, 'type'> {
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export type OpenedOutbox = Awaited<ReturnType<typeof openOutbox>>;

/** What is wrong is logged once in this time. */
const REMINDER_MS = 60_000;

/** Removing `outbox.lock` lets a second process in; whichever of the two has the new lock may write. */
const LOCK_LOST =
  'outbox.lock was removed, and another process has taken the outbox over: stop one of them, then restart';

/**
 * The outbox of a service, the store in its thread: PostgreSQL if OUTBOX_URL is set, else SQLite in DATA_DIR. Rejects
 * with an OutboxStartError.
 */
export async function openOutbox(options: OpenOptions) {
  const { clock, log, config } = options;
  const { outbox } = config;
  const folder = outbox.database === null ? outbox.dataDir : null;
  // What was opened is closed in the reverse order, by `close` or when the start fails.
  await using opening = new AsyncDisposableStack();
  const lock = folder === null ? null : lockFolder(folder, log);
  opening.defer(() => lock?.release());
  const troubles = watchTroubles(log, clock);
  const { ask, ...link } = await openLink({
    ...options,
    settings: { outbox, streams: config.ingestion.streams, escaping: config.webhook.escaping },
    onDamagedFile: troubles.onDamagedFile,
    whyNotAsk: () => (lock === null || lock.isHeld() ? null : LOCK_LOST),
    onEvent(event) {
      troubles.onEvent(event);
      options.onEvent(event);
    },
  });
  opening.defer(link.close);
  // Only now: this start may have set aside a log that it found without its database.
  if (folder !== null) tellIncompleteSets(folder, log);
  // So that there are counts to show, should the thread die before anybody asks.
  let lastStats = await ask('stats', []);
  const opened = opening.move();
  const operations: Queue & OutboxRecords & { receive: Receive } = {
    // The edge bounds what is under way (http/limits.ts).
    async receive(body) {
      // A message copies all of the memory that bytes are a part of, and small ones are often a part of a large pool.
      const isOwn = body.bytes.byteLength === body.bytes.buffer.byteLength;
      const bytes = isOwn ? body.bytes : new Uint8Array(body.bytes);
      try {
        return await ask('receive', [{ ...body, bytes }, clock.now()]);
      } catch (error) {
        if (error instanceof OutboxUnavailableError) return { outcome: 'unavailable' };
        throw error;
      }
    },
    async stats() {
      try {
        lastStats = await ask('stats', []);
        return lastStats;
      } catch (error) {
        // While the thread is being restarted, or the database does not answer, the last counts are the best there are.
        if (link.isGone() || !(error instanceof OutboxUnavailableError)) throw error;
        return { ...lastStats, writable: false, problem: error.message };
      }
    },
    claim: (request) => ask('claim', [request]),
    settle: (settlements) => ask('settle', [settlements]),
    list: (request) => ask('list', [request]),
    show: (id) => ask('show', [id]),
    find: (idStart) => ask('find', [idStart]),
    gone: (idStart) => ask('gone', [idStart]),
    revive: (eventIds) => ask('revive', [eventIds]),
    readAgain: (id, dryRun) => ask('readAgain', [id, dryRun]),
    purge: (ids) => ask('purge', [ids]),
  };
  const pace: SharedPace = {
    turn: (stream) => ask('turn', [stream]).catch(() => ownPace.turn(stream)),
    rest: (stream, delayMs, wasAlone) => ask('rest', [stream, delayMs, wasAlone]).catch(() => undefined),
    resume: (stream) => ask('resume', [stream]).catch(() => undefined),
    endRest: (stream) => ask('endRest', [stream]).catch(() => false),
  };
  return {
    ...operations,
    pace,
    /** See `findDamaged`. For /healthz and the metrics: a restart must not end the alarm. */
    get damagedFile() {
      return folder && findDamaged(folder);
    },
    /** What the store last could not do; null: nothing since the start, or a damaged database that was set aside. */
    get trouble() {
      return troubles.last;
    },
    /** Tells the outboxes of one machine apart; null: it is not one of this machine. */
    storeId: folder && storeId(folder),
    /** The folder on whose file system it is; null: it is not on this machine. */
    folder,
    /** Finishes what was asked before, then closes the store. Later bodies are `unavailable`. Twice does nothing. */
    close: () => opened.disposeAsync(),
  };
}

/** What goes wrong in the store: each kind of it is logged at once, and then once a minute as long as it goes on. */
function watchTroubles(log: Logger, clock: Clock) {
  const toldAt = new Map<string, number>();
  let last: StoreTrouble | null = null;

  function isDue(kind: string): boolean {
    const sinceMs = clock.now() - (toldAt.get(kind) ?? Number.NEGATIVE_INFINITY);
    if (sinceMs >= 0 && sinceMs < REMINDER_MS) return false;
    toldAt.set(kind, clock.now());
    return true;
  }

  return {
    get last() {
      return last;
    },
    onEvent(event: StoreEvent): void {
      if (event.type !== 'trouble') return;
      const { operation, reason, isDamage } = event;
      last = { operation, reason, isDamage, at: clock.now() };
      if (isDue(operation)) {
        log.error({ code: 'outbox_trouble', operation, reason }, 'the outbox could not do what it was asked');
      }
      if (isDamage && isDue('damage')) {
        log.error({ code: 'outbox_page_damaged', reason }, 'the database of the outbox has a damaged page');
      }
    },
    onDamagedFile(damagedFile: string): void {
      // From here on `damagedFile` says what is to be done.
      last = null;
      log.error(
        { code: 'outbox_damaged', damagedFile },
        'the database of the outbox was damaged; it was set aside and a fresh one took its place. ' +
          'Events that were waiting are in the damaged file: keep it',
      );
    },
  };
}
