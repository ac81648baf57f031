import { connect } from 'node:net';
import type { DatabaseSettings } from './settings.ts';

/**
 * Notices within seconds that nothing comes from the server any more, where a slow answer alone would have to be waited
 * for: a network that was cut tells nobody. Who is cut off says so early, and the load balancer asks another replica.
 */
export interface Lifeline {
  /** Something was asked of the server. The returned function: it was answered, or it failed. */
  waiting(): () => void;
}

/** An answer takes milliseconds; one that takes this long is slow, or will never come. */
const LATE_MS = 1_000;
/** Counted in ticks: a process that stood still itself has heard nothing meanwhile, and must not blame the server. */
const TICK_MS = 100;
const TICKS = 20;

/** Nobody answers at the server's address. */
export class SilenceError extends Error {
  override readonly name = 'SilenceError';

  constructor(place: string) {
    super(`nothing comes from ${place}`);
  }
}

/** `cut` is called when nobody is there and an answer is still waited for: it ends what waits. */
export function createLifeline(isAnybodyThere: () => Promise<boolean>, cut: () => void): Lifeline {
  let asking: Promise<boolean> | null = null;

  return {
    waiting() {
      let timer: NodeJS.Timeout | null = null;
      let isOver = false;
      const look = (): void => {
        timer = setTimeout(() => {
          asking ??= isAnybodyThere().finally(() => {
            asking = null;
          });
          void asking.then((isThere) => {
            // The look itself takes seconds. Once the answer is no longer waited for, it says nothing about the connections
            // that others have opened since.
            if (isOver) return;
            if (!isThere) cut();
            look();
          });
        }, LATE_MS);
      };
      look();
      return () => {
        isOver = true;
        if (timer !== null) clearTimeout(timer);
      };
    },
  };
}

/** Each server says with one byte, before any sign-in, whether it would encrypt: also when it is busy, full or starting. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

export function isServerThere({ host, port }: Pick<DatabaseSettings, 'host' | 'port'>): Promise<boolean> {
  return new Promise((resolve) => {
    // As pg names the socket in a folder.
    const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
    let ticks = 0;
    const limit = setInterval(() => {
      ticks++;
      if (ticks >= TICKS) end(false);
    }, TICK_MS).unref();
    socket.unref();
    function end(isThere: boolean): void {
      clearInterval(limit);
      socket.destroy();
      resolve(isThere);
    }
    socket.on('connect', () => socket.write(SSL_REQUEST));
    socket.on('data', () => end(true));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
  });
}
