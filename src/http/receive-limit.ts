import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';
import type { ReceivedBody } from '../intake/understand.ts';
import type { Receive, Received } from '../outbox/port.ts';
import type { EdgeLimits } from './limits.ts';
import { problem } from './problem.ts';

interface Receiver {
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

/**
 * `receive`, but its caller waits for `receiveTimeoutMs` at most and then gets a 503 problem: if the disk hangs, each
 * request would hold one of the proxy's connections until the proxy itself times out. What becomes of the body is not
 * known at that time, so it is logged when it is.
 */
export function receiveInTime(
  { receive, limits, clock, log }: Receiver,
  body: ReceivedBody,
  { requestId, onSettled }: Call,
): Promise<Received> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const receiving = Promise.try(receive, body);
    const cancelTimer = clock.setTimer(limits.receiveTimeoutMs, () => {
      isLate = true;
      reject(problem('outbox_timeout', { retryAfterSeconds: 30 }));
    });
    const settled = receiving.finally(() => {
      cancelTimer();
      onSettled();
    });
    settled.then(
      (received) => (isLate ? logLate(log, requestId, received) : resolve(received)),
      (error: unknown) => {
        if (!isLate) return reject(error);
        const name = error instanceof Error ? error.name : typeof error;
        log.error({ request_id: requestId, error: name }, 'a late webhook failed');
      },
    );
  });
}

function logLate(log: Logger, requestId: string, received: Received): void {
  const events = received.outcome === 'accepted' ? received.events : [];
  const facts = events[0] && { event_id: events[0].eventId, event_count: events.length };
  log.warn(
    { request_id: requestId, outcome: received.outcome, ...facts },
    'a webhook that was answered outbox_timeout has ended',
  );
}
