import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock.ts';
import { ByteCollector } from './byte-collector.ts';
import { type Decoder, type DecoderFactory, decoderFor } from './encoding.ts';
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

/** What can be refused by the headers alone: 413, 415. */
export function checkBodyHeaders(request: IncomingMessage, limits: EdgeLimits): DecoderFactory {
  if (declaredBytes(request) > limits.maxBodyBytes) throw problem('body_too_large');
  return decoderFor(request);
}

/** Whether the caller waits for leave to send its body. HTTP/1.0 knows no such thing. */
export function expectsContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.1' && headers.expect?.trim().toLowerCase() === '100-continue';
}

interface ReadOptions {
  readonly decoder: DecoderFactory;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly reservation: Reservation;
}

/**
 * Reads a body whole and inflates it. Rejects with the problem that it is (400, 408, 413, 503) or a
 * RequestAbortedError; the request is then paused, and what is left of it is drain.ts' to handle.
 */
export async function readBody(request: IncomingMessage, options: ReadOptions): Promise<Uint8Array> {
  // Node parses what came in one piece with the head before anything that is waited for goes on.
  await null;
  return takeWhole(request, options) ?? (await readPieces(request, options));
}

/** The body where all of it is there, as nearly always: without timer, listeners and copies. Null: read the pieces. */
function takeWhole(request: IncomingMessage, { decoder, limits, reservation }: ReadOptions): Uint8Array | null {
  const bytes = request.readableLength;
  const isWhole = decoder === null && bytes > 0 && bytes === declaredBytes(request) && !request.destroyed;
  if (!isWhole || bytes > limits.maxBodyBytes || !reservation.grow(bytes)) return null;
  return request.read() as Buffer;
}

function readPieces(request: IncomingMessage, options: ReadOptions): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const reader = new BodyReader(request, options, (error) => {
      if (error === null) resolve(reader.bytes());
      else reject(error);
    });
  });
}

class BodyReader {
  readonly #request: IncomingMessage;
  readonly #options: ReadOptions;
  readonly #settle: (error: Error | null) => void;
  readonly #collector: ByteCollector;
  readonly #cancelTimer: () => void;
  #decoder: Decoder | null = null;
  #rawBytes = 0;
  #settled = false;

  constructor(request: IncomingMessage, options: ReadOptions, settle: (error: Error | null) => void) {
    this.#request = request;
    this.#options = options;
    this.#settle = settle;
    this.#collector = new ByteCollector(declaredBytes(request));
    this.#cancelTimer = options.clock.setTimer(options.limits.bodyTimeoutMs, () => this.#end(problem('body_too_slow')));
    request.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onGone).on('close', this.#onGone);
    // Closed before anybody listened: no event would come.
    if (request.destroyed && !request.readableEnded) this.#onGone();
  }

  bytes(): Uint8Array {
    return this.#collector.bytes();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#rawBytes += chunk.length;
    const { decoder, limits } = this.#options;
    if (this.#rawBytes > limits.maxBodyBytes) {
      this.#end(problem('body_too_large'));
    } else if (decoder === null) {
      this.#collect(chunk);
    } else {
      this.#decoder ??= this.#startDecoder(decoder(chunk));
      if (!this.#decoder.write(chunk)) this.#request.pause();
    }
  };

  readonly #onEnd = (): void => {
    if (this.#decoder === null) this.#end(null);
    else this.#decoder.end();
  };

  readonly #onGone = (): void => {
    // `close` also follows the end of a body that is still being inflated.
    if (!this.#request.readableEnded) this.#end(new RequestAbortedError('the caller closed the connection'));
  };

  #startDecoder(decoder: Decoder): Decoder {
    decoder.on('data', (chunk: Buffer) => this.#collect(chunk));
    decoder.on('drain', () => this.#request.resume());
    decoder.on('error', () => this.#end(problem('body_not_decompressible')));
    decoder.on('end', () => {
      // The decoder stops at the end of its stream. Bytes behind it would be left out without a word.
      const whole = this.#request.readableEnded && decoder.bytesWritten === this.#rawBytes;
      this.#end(whole ? null : problem('body_not_decompressible'));
    });
    return decoder;
  }

  #collect(chunk: Buffer): void {
    if (this.#settled) return;
    const size = this.#collector.size + chunk.length;
    if (size > this.#options.limits.maxBodyBytes) this.#end(problem('body_too_large'));
    else if (!this.#options.reservation.grow(size)) this.#end(tooBusy());
    else this.#collector.push(chunk);
  }

  #end(error: Error | null): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#cancelTimer();
    const request = this.#request;
    request.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onGone).off('close', this.#onGone);
    request.pause();
    this.#decoder?.destroy();
    this.#settle(error);
  }
}

/** The memory for bodies is used up. */
export function tooBusy(): Error {
  return problem('too_busy', { retryAfterSeconds: 2 });
}
