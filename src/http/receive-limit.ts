import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { ReceivedBody } from '../intake/understand.ts';
import type { Receive, Received } from '../outbox/receive.ts';
import type { EdgeLimits } from './limits.ts';
import { problem } from './problem.ts';
import { createTimeLimit } from './time-limit.ts';

interface LimitedReceiveOptions {
  readonly receive: Receive;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Call {
  readonly requestId: string;
  /** Called once the receiver is done with the body, which may be long after the answer. */
  readonly onSettled: () => void;
}

export type LimitedReceive = (body: ReceivedBody, call: Call) => Promise<Received>;

/**
 * `receive`, but its caller waits for `receiveTimeoutMs` at most: behind a disk that hangs, each open request would hold
 * a connection of the proxy's until that gives up without an answer of ours. Rejects with a 503 problem then. What
 * became of the body is not known at that time, so its end is logged when it comes.
 */
export function createLimitedReceive({ receive, limits, clock, log }: LimitedReceiveOptions): LimitedReceive {
  const limit = createTimeLimit(limits.receiveTimeoutMs, clock);
  return (body, { requestId, onSettled }) =>
    new Promise((resolve, reject) => {
      let isLate = false;
      const onLate = (): void => {
        isLate = true;
        reject(problem('outbox_timeout', { retryAfterSeconds: 30 }));
      };
      const settle = (): void => {
        limit.end(onLate);
        onSettled();
      };
      Promise.try(receive, body).then(
        (received) => {
          settle();
          if (isLate) logLate(log, requestId, received);
          else resolve(received);
        },
        (error: unknown) => {
          settle();
          if (isLate) log.error({ request_id: requestId, error: nameOf(error) }, 'a late webhook failed');
          else reject(error);
        },
      );
      // After the call: what `receive` does at once is the CPU's time, not the outbox's.
      limit.start(onLate);
    });
}

function logLate(log: Logger, requestId: string, received: Received): void {
  const events = received.outcome === 'accepted' ? received.events : [];
  log.warn(
    {
      request_id: requestId,
      outcome: received.outcome,
      ...(events[0] !== undefined && { event_id: events[0].eventId, event_count: events.length }),
    },
    'a webhook that was answered outbox_timeout came to its end',
  );
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
