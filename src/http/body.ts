import type { IncomingMessage } from 'node:http';
import type { Clock } from '../ground/clock.ts';
import { ByteCollector } from './byte-collector.ts';
import type { Reservation } from './in-flight.ts';
import type { EdgeLimits } from './limits.ts';
import { problem } from './problem.ts';

/** The caller went away before its body was whole. There is nobody to answer, and nothing is stored. */
export class RequestAbortedError extends Error {
  override readonly name = 'RequestAbortedError';
  readonly code = 'request_aborted';
}

/** Content-Length, 0 without one. The parser has made sure that it is a number. */
export function declaredBytes(request: IncomingMessage): number {
  return Number(request.headers['content-length'] ?? 0);
}

/** Throws the 413 that Content-Length alone calls for. */
export function checkDeclaredLength(request: IncomingMessage, { maxBodyBytes }: EdgeLimits): void {
  if (declaredBytes(request) > maxBodyBytes) throw problem('body_too_large');
}

/** Whether the caller waits for leave to send its body. HTTP/1.0 knows no such thing. */
export function expectsContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.1' && headers.expect?.trim().toLowerCase() === '100-continue';
}

interface ReadOptions {
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly reservation: Reservation;
}

/**
 * Reads a body whole, as it came. Rejects with the problem that it is (408, 413, 503) or a RequestAbortedError; the
 * request is then paused, and answer.ts handles what is left of it.
 */
export async function readBody(request: IncomingMessage, options: ReadOptions): Promise<Uint8Array> {
  // Node parses what came in one piece with the head before anything that is waited for goes on.
  await null;
  return takeWhole(request, options) ?? (await readPieces(request, options));
}

/** The body where all of it is there, as nearly always: without timer, listeners and copies. Null: read the pieces. */
function takeWhole(request: IncomingMessage, { limits, reservation }: ReadOptions): Uint8Array | null {
  const bytes = request.readableLength;
  const isWhole = bytes > 0 && bytes === declaredBytes(request) && !request.destroyed;
  if (!isWhole || bytes > limits.maxBodyBytes || !reservation.grow(bytes)) return null;
  return request.read() as Buffer;
}

function readPieces(request: IncomingMessage, { limits, clock, reservation }: ReadOptions): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const collector = new ByteCollector(declaredBytes(request), limits.maxBodyBytes);
    const onData = (chunk: Buffer): void => {
      const size = collector.size + chunk.length;
      if (size > limits.maxBodyBytes) end(problem('body_too_large'));
      else if (!reservation.grow(size)) end(tooBusy());
      else collector.push(chunk);
    };
    const onEnd = (): void => end(null);
    const onGone = (): void => end(new RequestAbortedError('the caller closed the connection'));
    const cancelTimer = clock.setTimer(limits.bodyTimeoutMs, () => end(problem('body_too_slow')));
    function end(error: Error | null): void {
      cancelTimer();
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      request.pause();
      if (error === null) resolve(collector.bytes());
      else reject(error);
    }
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
    // Closed before anybody listened: no event would come.
    if (request.destroyed && !request.readableEnded) onGone();
  });
}

/** The memory for bodies is used up. */
export function tooBusy(): Error {
  return problem('too_busy', { retryAfterSeconds: 2 });
}
