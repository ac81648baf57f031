import type { IncomingMessage } from 'node:http';
import type { Clock } from '../ground/clock.ts';
import type { EdgeLimits } from './limits.ts';

/** Whether a part of the body may still be on its way. */
export function bodyIsOutstanding(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': transfer } = request.headers;
  return !request.complete && (transfer !== undefined || Number(length ?? 0) > 0);
}

/**
 * Reads what still comes of a refused body and throws it away. A connection that is closed while its sender writes is
 * reset, and the sender then loses the answer that it has not read yet (RFC 9112, 9.6).
 * Resolves `whole`: the body came to its end, and the connection can be used again. `cut`: over the limits, close it.
 */
export function drain(request: IncomingMessage, limits: EdgeLimits, clock: Clock): Promise<'whole' | 'cut'> {
  return new Promise((resolve) => {
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > limits.drainMaxBytes) done('cut');
    };
    const onEnd = (): void => done('whole');
    const onGone = (): void => done('cut');
    const cancelTimer = clock.setTimer(limits.drainMaxMs, onGone);
    function done(outcome: 'whole' | 'cut'): void {
      cancelTimer();
      request.off('data', onData).off('end', onEnd).off('close', onGone);
      resolve(outcome);
    }
    // An error is followed by `close`; without a listener it would be thrown.
    request.on('error', () => undefined);
    request.on('data', onData).on('end', onEnd).on('close', onGone);
    request.resume();
    if (request.destroyed) onGone();
  });
}
