import { Socket } from 'node:net';
import { Client, escapeIdentifier } from 'pg';
import type { Clock } from '../../ground/clock.ts';
import type { StoreLog } from '../open-store.ts';
import type { Database, Session } from './database.ts';
import { describe } from './errors.ts';

/** Something of this kind waits (null: it may, of any kind), of about so many bytes. */
export type OnWake = (kind: string | null, bytes: number) => void;

/**
 * The replica that stores an event also delivers it, so that others need not hear of each: once a second is enough, and
 * the server commits transactions with notifications one after the other.
 */
const TELL_INTERVAL_MS = 1_000;
/** Messages that come within this are one wake of each kind: anybody who can connect may send any number of them. */
const WAKE_INTERVAL_MS = 100;
/** More kinds than there are: somebody else talks on the channel. */
const MAX_KINDS = 32;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** A connection over which nothing comes any more looks like one on which nobody says anything. */
const CHECK_INTERVAL_MS = 15_000;

/** Tells the other replicas that something waits: they help where one has more to send than it can. */
export interface Waker {
  /** In the transaction that stores it, so that nobody is woken too early. `byKind`: bytes. */
  tell(session: Session, byKind: ReadonlyMap<string, number>): Promise<void>;
  /** The same for what these replicas have not heard of yet, whenever the last time was. */
  tellAgain(session: Session, kinds: readonly string[]): Promise<void>;
}

/** `self`: of this process, so that it does not wake itself. */
export function createWaker(channel: string, self: string): Waker {
  const toldAt = new Map<string, number>();

  async function send(session: Session, byKind: ReadonlyMap<string, number>): Promise<void> {
    for (const [kind, bytes] of byKind) {
      await session.run('SELECT pg_notify($1, $2)', [channel, JSON.stringify({ from: self, kind, bytes })]);
    }
  }

  return {
    async tell(session, byKind) {
      const before = performance.now() - TELL_INTERVAL_MS;
      const due = new Map([...byKind].filter(([kind]) => (toldAt.get(kind) ?? before) <= before));
      for (const kind of due.keys()) toldAt.set(kind, performance.now());
      await send(session, due);
    },
    tellAgain: (session, kinds) => send(session, new Map(kinds.map((kind) => [kind, 1]))),
  };
}

export interface ListenOptions {
  readonly database: Database;
  readonly channel: string;
  readonly self: string;
  readonly onWake: OnWake;
  readonly clock: Clock;
  readonly log: StoreLog;
}

/**
 * Keeps a connection of its own that listens, and replaces it whenever it is lost. What was said while there was none is
 * lost, and behind a pooler that shares connections everything is: delivery looks at the outbox now and then anyway.
 * The returned function ends it.
 */
export function listen({ database, channel, self, onWake, clock, log }: ListenOptions): () => void {
  const ear = createEar(self, onWake, clock);
  let ended = false;
  let cancel = () => {};
  let socket = new Socket();
  let pauseMs = FIRST_PAUSE_MS;
  let isFirst = true;

  async function listenOnce(): Promise<never> {
    const client = new Client(database.clientConfig(socket));
    const lost = Promise.withResolvers<never>();
    client.on('error', lost.reject);
    client.on('end', () => lost.reject(new Error('the connection ended')));
    client.on('notification', ({ payload }) => ear.hear(payload ?? ''));
    const check = (): void => {
      cancel = clock.setTimer(CHECK_INTERVAL_MS, () => client.query('SELECT 1').then(check, lost.reject));
    };
    const start = async (): Promise<never> => {
      await client.connect();
      await client.query(`LISTEN ${escapeIdentifier(channel)}`);
      pauseMs = FIRST_PAUSE_MS;
      // For what was stored while nobody listened.
      if (!isFirst) onWake(null, 1);
      check();
      return lost.promise;
    };
    return Promise.race([lost.promise, start()]);
  }

  function run(): void {
    socket = new Socket();
    listenOnce().catch((error: unknown) => {
      cancel();
      socket.destroy();
      if (ended) return;
      log.debug(
        { code: 'outbox_listener_lost', error: describe(error) },
        'the connection that listens to PostgreSQL was lost and is made again',
      );
      isFirst = false;
      cancel = clock.setTimer(pauseMs, run);
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
    });
  }

  run();
  return () => {
    ended = true;
    cancel();
    ear.stop();
    socket.destroy();
  };
}

/** Gathers messages for a moment. Those that are malformed, or this process's own, do nothing. */
function createEar(self: string, onWake: OnWake, clock: Clock) {
  const heard = new Map<string, number>();
  let cancel: (() => void) | null = null;

  function wake(): void {
    cancel = null;
    const kinds = heard.size > MAX_KINDS ? [[null, 1] as const] : [...heard];
    heard.clear();
    for (const [kind, bytes] of kinds) onWake(kind, bytes);
  }

  return {
    hear(payload: string): void {
      const message = parse(payload);
      if (message === null || message.from === self) return;
      const { kind, bytes } = message;
      if (heard.size <= MAX_KINDS) heard.set(kind, (heard.get(kind) ?? 0) + bytes);
      cancel ??= clock.setTimer(WAKE_INTERVAL_MS, wake);
    },
    stop: () => cancel?.(),
  };
}

function parse(payload: string): { readonly from: string; readonly kind: string; readonly bytes: number } | null {
  try {
    const { from, kind, bytes } = JSON.parse(payload) as Readonly<Record<string, unknown>>;
    const isOurs = typeof from === 'string' && typeof kind === 'string' && Number.isSafeInteger(bytes);
    return isOurs ? { from, kind, bytes: Math.max(1, Number(bytes)) } : null;
  } catch {
    return null;
  }
}
