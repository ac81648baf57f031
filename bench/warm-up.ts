import { documentedEvents } from './events.ts';
import { closedLoop, type Target } from './load.ts';

const REQUESTS = 30_000;

/**
 * Load that is not measured. A service runs for weeks: the time in which V8 compiles is not what is asked for. That goes
 * by requests, but for `maxMs` at most.
 */
export async function warmUp(target: Target, run: string, maxMs: number): Promise<void> {
  await closedLoop(target, documentedEvents(`${run}-warm`), {
    connections: 64,
    durationMs: maxMs,
    requests: REQUESTS,
  });
}
