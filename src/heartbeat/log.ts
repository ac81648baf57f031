import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { FailingHeartbeat, HeartbeatObserver } from './heartbeat.ts';

const REMINDER_MS = 60_000;

/**
 * A line when it begins to fail, when a person comes to be needed, then at most one a minute, and one when it works
 * again. The rest at `debug`.
 */
export function logHeartbeat(log: Logger, clock: Clock, stream: string): HeartbeatObserver {
  let told: { readonly outcome: FailingHeartbeat['outcome']; readonly at: number } | null = null;

  function isNews({ outcome }: FailingHeartbeat): boolean {
    if (told === null || (told.outcome === 'retry' && outcome === 'hold')) return true;
    // Far off in either direction: the clock may jump.
    return Math.abs(clock.now() - told.at) >= REMINDER_MS;
  }

  return {
    sent(failing) {
      if (failing === null) return log.debug({ stream }, 'heartbeat sent');
      log.info({ stream, failed_since: new Date(failing.since).toISOString() }, 'heartbeat sent again');
      told = null;
    },
    failed(failing) {
      const { outcome, since, reason, fix, clientRequestId } = failing;
      const news = isNews(failing);
      const level = !news ? 'debug' : outcome === 'hold' ? 'error' : 'warn';
      const fields = {
        stream,
        outcome,
        since: new Date(since).toISOString(),
        reason,
        fix,
        client_request_id: clientRequestId,
      };
      log[level](fields, 'heartbeat failed');
      if (news) told = { outcome, at: clock.now() };
    },
  };
}
