import type { IncomingMessage } from 'node:http';
import type { Clock } from '../ground/clock.ts';
import { type Coding, codingOf, type DecodedBody, decodeBody, encodingUnsupported } from './encoding.ts';
import type { Exchange } from './exchange.ts';
import type { EdgeLimits, InFlightBytes, Reservation } from './limits.ts';
import { problem } from './problem.ts';

/** The caller went away before its body was whole. There is nobody to answer, and nothing is stored. */
export class RequestAbortedError extends Error {
  override readonly name = 'RequestAbortedError';
  readonly code = 'request_aborted';
}

/** What the headers say of a body that will be read. */
interface BodyHeaders {
  /** Null: one that is not known here. */
  readonly coding: Coding | null;
  /** Content-Length, 0 without one. Node's parser has made sure that it is a number. */
  readonly declaredBytes: number;
}

/** Throws the 413 or 415 that the headers alone call for. */
export function checkBodyHeaders(request: IncomingMessage, { maxBodyBytes }: EdgeLimits): BodyHeaders {
  const declaredBytes = Number(request.headers['content-length'] ?? 0);
  if (declaredBytes > maxBodyBytes) throw problem('body_too_large');
  const coding = codingOf(request);
  // A caller that waits for 100 Continue has not sent the body, so it loses nothing by the refusal.
  if (coding === null && expectsContinue(request)) throw encodingUnsupported();
  return { coding, declaredBytes };
}

export interface BodyReader {
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly inFlight: InFlightBytes;
}

/** `release` gives back the body's share of the memory. */
type ReadBody = DecodedBody & Pick<Reservation, 'release'>;

/**
 * Reads a body whole and inflates it. Rejects with the problem that it is (400, 408, 413, 415, 503) or a
 * RequestAbortedError. The request is paused then, and answer.ts handles what is left of it.
 */
export async function readBody(exchange: Exchange, headers: BodyHeaders, reader: BodyReader): Promise<ReadBody> {
  const { request, response } = exchange;
  const { limits, inFlight } = reader;
  const reservation = inFlight.reserve(headers.declaredBytes);
  try {
    if (expectsContinue(request)) response.writeContinue();
    const raw = await readRaw(request, reader, new Collector(headers.declaredBytes, limits.maxBodyBytes, reservation));
    const decoded = await decodeBody(raw, headers.coding, { maxBytes: limits.maxBodyBytes, reservation });
    return { ...decoded, release: reservation.release };
  } catch (error) {
    reservation.release();
    throw error;
  }
}

/** Whether the caller waits for leave to send its body. HTTP/1.0 has no such thing. */
function expectsContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.1' && headers.expect?.trim().toLowerCase() === '100-continue';
}

function readRaw(request: IncomingMessage, { limits, clock }: BodyReader, collector: Collector): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      try {
        collector.push(chunk);
      } catch (error) {
        end(error);
      }
    };
    const onEnd = (): void => end(null);
    const onGone = (): void => end(new RequestAbortedError('the caller closed the connection'));
    const cancelTimer = clock.setTimer(limits.bodyTimeoutMs, () => end(problem('body_too_slow')));
    function end(error: unknown): void {
      cancelTimer();
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      request.pause();
      if (error === null) resolve(collector.bytes());
      else reject(error);
    }
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
    // If it closed before anybody listened, no event will come.
    if (request.destroyed && !request.readableEnded) onGone();
  });
}

/**
 * Puts chunks together in one growing buffer. Keeping the chunks themselves would keep alive what each is a slice of,
 * and a body sent in chunks of one byte would take a hundred times its size. `allocUnsafeSlow`, because `allocUnsafe`
 * gives slices of a pool of 64 KiB, and a message to another thread copies all of it.
 */
class Collector {
  #buffer: Buffer;
  #size = 0;
  readonly #declaredBytes: number;
  readonly #maxBytes: number;
  readonly #reservation: Reservation;

  constructor(declaredBytes: number, maxBytes: number, reservation: Reservation) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(1, declaredBytes));
    this.#declaredBytes = declaredBytes;
    this.#maxBytes = maxBytes;
    this.#reservation = reservation;
  }

  /** Throws the problem of a body that is too large, or that there is no room for. */
  push(chunk: Buffer): void {
    const size = this.#size + chunk.length;
    if (size > this.#maxBytes) throw problem('body_too_large');
    this.#reservation.resize(Math.max(this.#declaredBytes, size));
    if (size > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(size, Math.min(this.#maxBytes, 2 * this.#buffer.length)));
      this.#buffer.copy(larger, 0, 0, this.#size);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#size);
    this.#size = size;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }
}
