import { Socket } from 'node:net';
import { Client } from 'pg';
import type { Clock } from '../../ground/clock.ts';
import type { Logger } from '../../ground/log.ts';
import { type Database, quoteName } from './database.ts';
import { describe } from './errors.ts';

/** Something of this kind waits (null: it may, of any kind), of about so many bytes. */
export type OnWake = (kind: string | null, mappedBytes: number) => void;

interface Message {
  /** Which process said it: nobody wakes itself. */
  readonly from: string;
  readonly kind: string;
  readonly bytes: number;
}

export interface ListenOptions {
  readonly database: Database;
  readonly channel: string;
  /** Of this process, as in its own messages. */
  readonly self: string;
  readonly onWake: OnWake;
  readonly clock: Clock;
  readonly log: Logger;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** A connection over which nothing comes any more looks like one on which nobody says anything. */
const CHECK_MS = 15_000;

/**
 * Keeps a connection of its own that listens, and makes it anew for ever. What was said while there was none is lost, and
 * so is everything behind a pooler that shares connections: delivery looks at the outbox by itself now and then.
 * The returned function ends it.
 */
export function listen(options: ListenOptions): () => void {
  const { database, channel, clock, log } = options;
  let ended = false;
  let cancel = () => {};
  let socket: Socket | null = null;
  let pauseMs = FIRST_PAUSE_MS;
  let isFirst = true;

  async function connect(): Promise<void> {
    const own = new Socket();
    socket = own;
    const client = new Client(database.clientConfig(own));
    const lost = Promise.withResolvers<never>();
    lost.promise.catch(() => undefined);
    client.on('error', lost.reject);
    client.on('end', () => lost.reject(new Error('the connection ended')));
    client.on('notification', ({ payload }) => hear(payload, options));
    try {
      await client.connect();
      await client.query(`LISTEN ${quoteName(channel)}`);
      pauseMs = FIRST_PAUSE_MS;
      // What was stored while nobody listened.
      if (!isFirst) options.onWake(null, 1);
      isFirst = false;
      while (!ended) await Promise.race([lost.promise, check(client)]);
    } finally {
      own.destroy();
    }
  }

  /** Waits, and then asks something. */
  async function check(client: Client): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    cancel = clock.setTimer(CHECK_MS, resolve);
    await promise;
    await client.query('SELECT 1');
  }

  function start(): void {
    connect().catch((error: unknown) => {
      cancel();
      isFirst = false;
      if (ended) return;
      log.debug(
        { code: 'outbox_listener_lost', error: describe(error) },
        'the connection that listens to PostgreSQL is made anew',
      );
      cancel = clock.setTimer(pauseMs, start);
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
    });
  }

  start();
  return () => {
    ended = true;
    cancel();
    socket?.destroy();
  };
}

function hear(payload: string | undefined, { self, onWake }: ListenOptions): void {
  const message = parse(payload ?? '');
  if (message !== null && message.from !== self) onWake(message.kind, message.bytes);
}

export function notification(message: Message): string {
  return JSON.stringify(message);
}

/** Anybody who can connect may say anything on a channel. */
function parse(payload: string): Message | null {
  try {
    const { from, kind, bytes } = JSON.parse(payload) as Partial<Record<keyof Message, unknown>>;
    const isOurs = typeof from === 'string' && typeof kind === 'string' && Number.isSafeInteger(bytes);
    return isOurs ? { from, kind, bytes: Math.max(1, Number(bytes)) } : null;
  } catch {
    return null;
  }
}
