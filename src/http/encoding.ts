import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import type { Reservation } from './limits.ts';
import { HttpProblem, problem } from './problem.ts';

/**
 * What a body can be compressed with. Not `br`: a brotli stream chooses how much memory its decoder needs, 16 MiB and
 * more for a body of 200 bytes, where gzip and deflate need 32 KiB.
 */
export type Coding = 'identity' | 'gzip' | 'deflate';

const acceptEncoding = 'gzip, deflate, identity';

const codings: ReadonlyMap<string, Coding> = new Map<string, Coding>([
  ['', 'identity'],
  ['identity', 'identity'],
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
]);

/** The Content-Encoding; null for one that is not known here. Throws a 415 for a transfer coding other than `chunked`. */
export function codingOf({ headers }: IncomingMessage): Coding | null {
  const transfer = headers['transfer-encoding']?.trim().toLowerCase() ?? 'chunked';
  if (transfer !== 'chunked') throw encodingUnsupported();
  return codings.get(headers['content-encoding']?.trim().toLowerCase() ?? '') ?? null;
}

export function encodingUnsupported(): HttpProblem {
  return problem('encoding_unsupported', { headers: { 'Accept-Encoding': acceptEncoding } });
}

export interface DecodedBody {
  readonly bytes: Uint8Array;
  /** Not null: the bytes are plain text although Content-Encoding says otherwise, and this is what to answer. */
  readonly wrongEncoding: HttpProblem | null;
}

interface DecodeOptions {
  readonly maxBytes: number;
  readonly reservation: Reservation;
}

/** Rejects with the problem of a body that cannot be decoded (400, 413, 415, 503) and is not plain text either. */
export async function decodeBody(raw: Uint8Array, coding: Coding | null, options: DecodeOptions): Promise<DecodedBody> {
  try {
    if (coding === null) throw encodingUnsupported();
    const isPlain = coding === 'identity' || raw.length === 0;
    return { bytes: isPlain ? raw : await inflate(raw, coding, options), wrongEncoding: null };
  } catch (error) {
    const isAboutEncoding = error instanceof HttpProblem && [400, 415].includes(error.parts.status);
    if (!isAboutEncoding || !isPlainText(raw)) throw error;
    return { bytes: raw, wrongEncoding: error };
  }
}

/** Each decoder keeps a thread of libuv's pool busy. The pool has four, and name look-ups need them too. */
const maxDecoders = 4;
/** What zlib allocates for a decoder (44 KB, https://zlib.net/zlib_tech.html) and its output buffer. */
const decoderBytes = 65_536;

/** One gate for the whole process, because the pool is the process's. */
const waiting: (() => void)[] = [];
let running = 0;

/** The body was read whole before, so that a slow sender never holds a decoder. All that is held is reserved. */
async function inflate(raw: Uint8Array, coding: 'gzip' | 'deflate', options: DecodeOptions): Promise<Uint8Array> {
  if (running >= maxDecoders) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    return await runDecoder(raw, coding, options);
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

async function runDecoder(
  raw: Uint8Array,
  coding: 'gzip' | 'deflate',
  { maxBytes, reservation }: DecodeOptions,
): Promise<Uint8Array> {
  const held = raw.length + decoderBytes;
  reservation.resize(held);
  const decoder = createDecoder(raw, coding);
  const pieces: Buffer[] = [];
  let size = 0;
  decoder.end(raw);
  try {
    for await (const piece of decoder as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > maxBytes) throw problem('body_too_large');
      reservation.resize(held + size);
      pieces.push(piece);
    }
  } catch (error) {
    throw error instanceof HttpProblem ? error : problem('body_not_decompressible');
  }
  // The decoder stops at the end of its stream. Bytes that follow it would be left out without a word.
  if (decoder.bytesWritten !== raw.length) throw problem('body_not_decompressible');
  reservation.resize(size);
  return Buffer.concat(pieces, size);
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
