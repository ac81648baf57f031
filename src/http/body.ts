import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { type Bounds, HttpProblem, problem } from './answer.ts';
import type { Exchange } from './exchange.ts';

/** The caller went away before its body was whole. There is nobody to answer, and nothing is stored. */
export class RequestAbortedError extends Error {}

export type ReadBody = ReturnType<typeof createBodyReader>;

/**
 * Reads a body whole and inflates it; `release` gives back its share of the memory. Rejects with the problem that it is
 * (400, 408, 413, 415, 503) or a RequestAbortedError. The request is paused then, and answer.ts handles what is left.
 */
export function createBodyReader(bounds: Bounds) {
  const { maxBodyBytes, maxInFlightBytes } = bounds.limits;
  const reserve = createInFlightBytes(maxInFlightBytes);
  return async ({ request, response }: Exchange) => {
    // Node's parser has made sure that it is a number.
    const declaredBytes = Number(request.headers['content-length'] ?? 0);
    if (declaredBytes > maxBodyBytes) throw problem('body_too_large');
    const coding = codingOf(request);
    // Whether the caller waits for leave to send its body. HTTP/1.0 has no such thing.
    const isWaiting = request.httpVersion === '1.1' && request.headers.expect?.trim().toLowerCase() === '100-continue';
    // It has not sent the body, so it loses nothing by the refusal.
    if (coding === null && isWaiting) throw encodingUnsupported();
    const reservation = reserve(declaredBytes);
    try {
      if (isWaiting) response.writeContinue();
      const raw = await readRaw(request, bounds, { declaredBytes, reservation });
      return { ...(await decode(raw, coding, { maxBodyBytes, reservation })), release: reservation.release };
    } catch (error) {
      reservation.release();
      throw error;
    }
  };
}

/** A request's share of the memory for bodies. */
type Reservation = ReturnType<ReturnType<typeof createInFlightBytes>>;

/** What a request takes however small its body is, so that tiny pipelined ones are bounded too. */
const minimumBytes = 4_096;

/**
 * Bounds the bodies that are held at one time, from the first read to the answer. The function that it returns reserves
 * the share of one; it throws the 503 `too_busy` if there is no room.
 */
function createInFlightBytes(maxBytes: number) {
  let heldBytes = 0;
  return (bytes: number) => {
    let share = 0;
    /** Makes the share `wanted`; throws the same if there is no room, and the share stays as it was. */
    function resize(wanted: number): void {
      const next = Math.max(minimumBytes, wanted);
      if (next > share && heldBytes - share + next > maxBytes) throw problem('too_busy');
      heldBytes += next - share;
      share = next;
    }
    /** Gives the share back. Doing so twice does nothing. */
    function release(): void {
      heldBytes -= share;
      share = 0;
    }
    resize(bytes);
    return { resize, release };
  };
}

/**
 * Puts chunks together in one growing buffer. Keeping the chunks themselves would keep alive what each is a slice of,
 * and a body sent in chunks of one byte would take a hundred times its size. `allocUnsafeSlow`, because `allocUnsafe`
 * gives slices of a pool of 64 KiB, and a message to another thread copies all of it.
 */
function readRaw(
  request: IncomingMessage,
  { limits: { maxBodyBytes, bodyTimeoutMs }, clock }: Bounds,
  { declaredBytes, reservation }: { declaredBytes: number; reservation: Reservation },
): Promise<Uint8Array> {
  let buffer = Buffer.allocUnsafeSlow(Math.max(1, declaredBytes));
  let size = 0;
  function push(chunk: Buffer): void {
    const next = size + chunk.length;
    if (next > maxBodyBytes) throw problem('body_too_large');
    reservation.resize(Math.max(declaredBytes, next));
    if (next > buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(next, Math.min(maxBodyBytes, 2 * buffer.length)));
      buffer.copy(larger, 0, 0, size);
      buffer = larger;
    }
    chunk.copy(buffer, size);
    size = next;
  }
  return new Promise((resolve, reject) => {
    function onData(chunk: Buffer): void {
      try {
        push(chunk);
      } catch (error) {
        end(error);
      }
    }
    const onEnd = (): void => end(null);
    const onGone = (): void => end(new RequestAbortedError('the caller closed the connection'));
    const cancelTimer = clock.setTimer(bodyTimeoutMs, () => end(problem('body_too_slow')));
    function end(error: unknown): void {
      cancelTimer();
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      request.pause();
      if (error === null) resolve(buffer.subarray(0, size));
      else reject(error);
    }
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
    // If it closed before anybody listened, no event will come.
    if (request.destroyed && !request.readableEnded) onGone();
  });
}

/**
 * What a body can be compressed with. Not `br`: a brotli stream chooses how much memory its decoder needs, 16 MiB and
 * more for a body of 200 bytes, where gzip and deflate need 32 KiB.
 */
const codings = { '': 'identity', identity: 'identity', gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate' } as const;
type Coding = (typeof codings)[keyof typeof codings];

/** The Content-Encoding; null for one that is not known here. Throws a 415 for a transfer coding other than `chunked`. */
function codingOf({ headers }: IncomingMessage): Coding | null {
  const transfer = headers['transfer-encoding']?.trim().toLowerCase() ?? 'chunked';
  if (transfer !== 'chunked') throw encodingUnsupported();
  const sent = headers['content-encoding']?.trim().toLowerCase() ?? '';
  return Object.entries(codings).find(([name]) => name === sent)?.[1] ?? null;
}

function encodingUnsupported(): HttpProblem {
  return problem('encoding_unsupported', { headers: { 'Accept-Encoding': 'gzip, deflate, identity' } });
}

type Room = Readonly<{ maxBodyBytes: number; reservation: Reservation }>;

/**
 * Rejects with the problem of a body that cannot be decoded (400, 413, 415, 503). If it is plain text although its
 * Content-Encoding says otherwise, it is decoded, and `wrongEncoding` is what to answer.
 */
async function decode(raw: Uint8Array, coding: Coding | null, room: Room) {
  try {
    if (coding === null) throw encodingUnsupported();
    const isPlain = coding === 'identity' || raw.length === 0;
    return { bytes: isPlain ? raw : await inflate(raw, coding, room), wrongEncoding: null };
  } catch (error) {
    const isAboutEncoding = error instanceof HttpProblem && [400, 415].includes(error.parts.status);
    if (!isAboutEncoding || !isPlainText(raw)) throw error;
    return { bytes: raw, wrongEncoding: error };
  }
}

/** Each decoder keeps a thread of libuv's pool busy. The pool has four; one is left to name look-ups and files. */
const maxDecoders = 3;
/** What zlib allocates for a decoder (44 KB, https://zlib.net/zlib_tech.html) and its output buffer. */
const decoderBytes = 65_536;

/** One gate for the whole process, because the pool is the process's. */
const waiting: (() => void)[] = [];
let running = 0;

/** The body was read whole before, so that a slow sender never holds a decoder. All that is held is reserved. */
async function inflate(raw: Uint8Array, coding: 'gzip' | 'deflate', room: Room): Promise<Uint8Array> {
  const { maxBodyBytes, reservation } = room;
  if (running >= maxDecoders) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    const held = raw.length + decoderBytes;
    reservation.resize(held);
    const decoder = createDecoder(raw, coding);
    const pieces: Buffer[] = [];
    let size = 0;
    decoder.end(raw);
    for await (const piece of decoder as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > maxBodyBytes) throw problem('body_too_large');
      reservation.resize(held + size);
      pieces.push(piece);
    }
    // The decoder stops at the end of its stream. Bytes that follow it would be left out without a word.
    if (decoder.bytesWritten !== raw.length) throw problem('body_not_decompressible');
    reservation.resize(size);
    return Buffer.concat(pieces, size);
  } catch (error) {
    throw error instanceof HttpProblem ? error : problem('body_not_decompressible');
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

/**
 * `deflate` means zlib's format (RFC 9110, 8.4.1.2), but some senders leave its header out. It begins with 8 in the low
 * four bits and a window size of at most 7 above; a raw stream begins so only with padding bits that nobody sets.
 */
function createDecoder(raw: Uint8Array, coding: 'gzip' | 'deflate'): ReturnType<typeof createGunzip> {
  if (coding === 'gzip') return createGunzip();
  return ((raw[0] ?? 0) & 0x8f) === 0x08 ? createInflate() : createInflateRaw();
}

/**
 * Whether a body is JSON text although its Content-Encoding says that it is compressed, as far as can be told without
 * parsing it: it begins like JSON, and it is UTF-8 or ends like JSON. Compressed data passes this test once in 30,000
 * times, and is then kept in quarantine for nothing.
 */
export function isPlainText(bytes: Uint8Array): boolean {
  const begins = /^[{[]/.test(withoutBlanks(bytes.subarray(0, 1024)));
  const ends = /[}\]]$/.test(withoutBlanks(bytes.subarray(-1024)));
  return begins && (ends || isUtf8(bytes));
}

/** Without blanks, byte order marks, and the zero bytes that UTF-16 has between letters. */
function withoutBlanks(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(/^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)|[\0\s]/g, '');
}
