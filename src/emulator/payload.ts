import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { isJsonArray, isJsonObject, type JsonValue } from '../ground/json.ts';
import type { IngestPayload } from './call.ts';
import { parseLossless } from './lossless.ts';
import type { ReceivedBody } from './wire.ts';

/** "1 MB" of the Logs Ingestion API as its answers name it, for the compressed and the decompressed body alike. */
export const maxCallBytes = 1_048_576;

const inflate = promisify(gunzip);

/** Reads the body of an ingest call. Never holds more than the limit, compressed or not. */
export async function readPayload(body: ReceivedBody, encoding: string | undefined): Promise<IngestPayload> {
  if (body.size > maxCallBytes) return { type: 'too_large', bytes: body.size };
  if (body.size === 0) return { type: 'empty' };
  const name = (encoding ?? 'identity').trim().toLowerCase();
  if (name === 'identity') return parse(body.bytes);
  if (name !== 'gzip') return { type: 'unknown_encoding', encoding: name };
  try {
    return parse(await inflate(body.bytes, { maxOutputLength: maxCallBytes }));
  } catch (error) {
    if (codeOf(error) !== 'ERR_BUFFER_TOO_LARGE')
      return { type: 'invalid', message: 'The body is no valid gzip data.' };
    // The last four bytes of gzip data are the inflated size: RFC 1952, 2.3.1.
    return { type: 'too_large', bytes: Math.max(body.bytes.readUInt32LE(body.size - 4), maxCallBytes + 1) };
  }
}

function parse(bytes: Buffer): IngestPayload {
  let value: JsonValue;
  try {
    value = parseLossless(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return { type: 'invalid', message: 'The body is not valid JSON in UTF-8.' };
  }
  // The real service answered 204 to a bare object and lost it (azure-docs#112669): a client must never count on that.
  if (!isJsonArray(value)) return { type: 'invalid', message: 'The body must be a JSON array of objects.' };
  const rows = value.filter(isRow);
  if (rows.length < value.length) return { type: 'invalid', message: 'Each element of the array must be an object.' };
  return { type: 'rows', rows, bytes: bytes.length };
}

function isRow(value: JsonValue): value is Readonly<Record<string, JsonValue>> {
  return isJsonObject(value);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
