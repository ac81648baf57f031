import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { FailingHeartbeat } from './beat.ts';

const REMINDER_MS = 60_000;

/**
 * Logs when the heartbeat begins to fail, when a person comes to be needed, then at most once a minute, and when the
 * heartbeat works again. All other lines are at level `debug`.
 */
export function logHeartbeat(log: Logger, clock: Clock, stream: string) {
  let told: { readonly outcome: FailingHeartbeat['outcome']; readonly at: number } | null = null;

  function isNews({ outcome }: FailingHeartbeat): boolean {
    if (told === null || (told.outcome === 'retry' && outcome === 'hold')) return true;
    // In either direction, since the clock may jump.
    return Math.abs(clock.now() - told.at) >= REMINDER_MS;
  }

  return {
    /** `failing` is what this success ended. */
    sent(failing: FailingHeartbeat | null): void {
      if (failing === null) {
        log.debug({ stream }, 'heartbeat sent');
        return;
      }
      log.info({ stream, failed_since: new Date(failing.since).toISOString() }, 'heartbeat sent again');
      told = null;
    },
    failed(failing: FailingHeartbeat): void {
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
