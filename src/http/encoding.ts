import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { tooBusy } from './body.ts';
import type { Reservation } from './in-flight.ts';
import { type HttpProblem, problem } from './problem.ts';

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

/** By Content-Encoding; null for one that is not known here. Throws a 415 for a transfer coding other than `chunked`. */
export function codingOf(request: IncomingMessage): Coding | null {
  const transfer = request.headers['transfer-encoding']?.trim().toLowerCase() ?? 'chunked';
  if (transfer !== 'chunked') throw encodingUnsupported();
  return codings.get(request.headers['content-encoding']?.trim().toLowerCase() ?? '') ?? null;
}

/** `members`: see problem.ts. */
export function encodingUnsupported(members: Readonly<Record<string, unknown>> = {}): HttpProblem {
  return problem('encoding_unsupported', { headers: { 'Accept-Encoding': acceptEncoding }, members });
}

/** Each decoder keeps a thread of libuv's pool busy. The pool has four, and name look-ups need them too. */
const maxDecoders = 4;
/** What zlib allocates for a decoder (44 KB, https://zlib.net/zlib_tech.html) and its output buffer. */
const decoderBytes = 65_536;

/** One gate for the whole process, because the pool is the process's. */
const waiting: (() => void)[] = [];
let running = 0;

/**
 * Inflates a body that was read whole, so that a slow sender never holds a decoder. Resolves with the body; rejects
 * with a problem (400, 413, 503). Everything that is held is reserved; in the end only the inflated body is.
 */
export async function inflate(
  raw: Uint8Array,
  coding: Exclude<Coding, 'identity'>,
  { maxBytes, reservation }: { readonly maxBytes: number; readonly reservation: Reservation },
): Promise<Uint8Array> {
  if (running >= maxDecoders) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    const held = raw.length + decoderBytes;
    if (!reservation.grow(held)) throw tooBusy();
    const body = await decode(raw, createDecoder(raw, coding), maxBytes, (bytes) => reservation.grow(held + bytes));
    reservation.shrink(body.length);
    return body;
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

function createDecoder(raw: Uint8Array, coding: Exclude<Coding, 'identity'>): Decoder {
  if (coding === 'gzip') return createGunzip();
  return hasZlibHeader(raw) ? createInflate() : createInflateRaw();
}

type Decoder = ReturnType<typeof createGunzip>;

/** `reserve`: asked before a piece is kept; false when there is no room for so many bytes. */
function decode(
  raw: Uint8Array,
  decoder: Decoder,
  maxBytes: number,
  reserve: (bytes: number) => boolean,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let size = 0;
    const fail = (error: Error): void => {
      decoder.destroy();
      reject(error);
    };
    decoder.on('data', (piece: Buffer) => {
      size += piece.length;
      if (size > maxBytes) fail(problem('body_too_large'));
      else if (!reserve(size)) fail(tooBusy());
      else pieces.push(piece);
    });
    decoder.on('error', () => fail(problem('body_not_decompressible')));
    decoder.on('end', () => {
      // The decoder stops at the end of its stream. Bytes that follow it would be left out without a word.
      if (decoder.bytesWritten === raw.length) resolve(Buffer.concat(pieces, size));
      else fail(problem('body_not_decompressible'));
    });
    decoder.end(raw);
  });
}

/**
 * `deflate` means zlib's format (RFC 9110, 8.4.1.2), but some senders leave its header out. It begins with 8 in the low
 * four bits and a window size of at most 7 above; a raw stream begins so only with padding bits that nobody sets.
 */
function hasZlibHeader(raw: Uint8Array): boolean {
  return ((raw[0] ?? 0) & 0x8f) === 0x08;
}

/**
 * Whether a body is JSON text although its Content-Encoding says that it is compressed, as far as can be told without
 * parsing it: it begins like JSON, and it is UTF-8 or ends like JSON. Compressed data passes for that once in 30,000 times, and
 * is then kept in quarantine for nothing.
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
