import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';

/** One warning about what anybody on the network can cause; it is logged at most once a minute for each code. */
export type Complain = (code: string, message: string, fields?: Readonly<Record<string, unknown>>) => void;

const intervalMs = 60_000;

/** `port`: its name, for the log. */
export function createComplaints({ port, log, clock }: { port: string; log: Logger; clock: Clock }): Complain {
  const seen = new Map<string, { loggedAt: number; since: number }>();
  return (code, message, fields = {}) => {
    const now = clock.now();
    const last = seen.get(code);
    // The clock may jump back.
    if (last !== undefined && Math.abs(now - last.loggedAt) < intervalMs) {
      last.since += 1;
      return;
    }
    seen.set(code, { loggedAt: now, since: 0 });
    log.warn({ code, listener: port, ...fields, suppressed: last?.since || undefined }, message);
  };
}
