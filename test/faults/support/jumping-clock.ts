import type { TokenCredential } from '@azure/core-auth';
import type { Clock } from '../../../src/ground/clock.ts';
import { requestToken } from '../../emulator/client.ts';
import type { Emulator } from '../../support/azure/emulator.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';

export const DAY_MS = 86_400_000;

export interface TwoClocks {
  /** Azure's, which is right. */
  readonly azure: Clock;
  /** The service's: the same timers, and a time of day that `jump` moves. */
  readonly service: ManualClock;
  /** Of the service's time against the right one, from now on. */
  jump(ms: number): void;
}

export function twoClocks(): TwoClocks {
  const azure = manualClock(Date.now());
  let offsetMs = 0;
  const service: ManualClock = {
    now: () => azure.now() + offsetMs,
    setTimer: (delayMs, fn) => azure.setTimer(delayMs, fn),
    advance: (ms) => azure.advance(ms),
    set(ms) {
      offsetMs = ms - azure.now();
    },
    get timerCount() {
      return azure.timerCount;
    },
  };
  return {
    azure,
    service,
    jump(ms) {
      offsetMs = ms;
    },
  };
}

export interface TokenSource {
  createCredential(emulator: Emulator): TokenCredential;
  /** How many tokens are on their way. */
  pending(): number;
}

/**
 * Gets real tokens of the emulator and reckons their end as MSAL does, from the local clock and `expires_in`; but from
 * the clock that it is given, where MSAL reads the machine's.
 */
export function tokensBy(clock: Clock): TokenSource {
  let pending = 0;
  return {
    createCredential: (emulator) => ({
      async getToken() {
        pending++;
        const { body } = await requestToken(emulator).finally(() => pending--);
        return { token: body.access_token, expiresOnTimestamp: clock.now() + body.expires_in * 1000 };
      },
    }),
    pending: () => pending,
  };
}
