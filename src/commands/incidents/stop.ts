import { systemClock } from '../../ground/clock.ts';
import { type CommandContext, exitCodes } from '../context.ts';

/** npm passes a signal on that the terminal has sent already. */
const copyMs = 1_000;

export interface Stop {
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  release(): void;
}

/** The first signal ends what runs in an orderly way, a second one a second or more later at once. */
export function stopOnSignals({ onSignal, exitNow, stderr }: CommandContext): Stop {
  const controller = new AbortController();
  let firstAt = 0;
  const release = onSignal(() => {
    const now = systemClock.now();
    if (!controller.signal.aborted) {
      firstAt = now;
      stderr.write('\nStopping.\n');
      controller.abort();
    } else if (Math.abs(now - firstAt) >= copyMs) {
      exitNow(exitCodes.failed);
    }
  });
  return { signal: controller.signal, release };
}
