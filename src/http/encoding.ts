import type { IncomingMessage } from 'node:http';
import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { problem } from './problem.ts';

export type Decoder = Transform & { readonly bytesWritten: number };
/** Makes the decoder; `first` are the first bytes of the body, at least one. Null: the body is as it is. */
export type DecoderFactory = ((first: Uint8Array) => Decoder) | null;

const acceptEncoding = 'gzip, deflate, br, identity';

const factories: ReadonlyMap<string, DecoderFactory> = new Map<string, DecoderFactory>([
  ['identity', null],
  ['gzip', () => createGunzip()],
  ['x-gzip', () => createGunzip()],
  ['deflate', (first) => (hasZlibHeader(first) ? createInflate() : createInflateRaw())],
  ['br', () => createBrotliDecompress()],
]);

/** By Content-Encoding. Throws a 415 for one that is unknown, for several, and for a transfer coding but `chunked`. */
export function decoderFor(request: IncomingMessage): DecoderFactory {
  const transfer = request.headers['transfer-encoding']?.trim().toLowerCase() ?? 'chunked';
  const name = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  const factory = factories.get(name === '' ? 'identity' : name);
  if (transfer !== 'chunked' || factory === undefined) {
    throw problem('encoding_unsupported', { headers: { 'Accept-Encoding': acceptEncoding } });
  }
  return factory;
}

/**
 * `deflate` means zlib's format (RFC 9110, 8.4.1.2), but some senders leave its header out. It begins with 8 in the low
 * four bits and a window size of at most 7 above; a raw stream begins so only with padding bits that nobody sets.
 */
function hasZlibHeader(first: Uint8Array): boolean {
  return ((first[0] ?? 0) & 0x8f) === 0x08;
}
