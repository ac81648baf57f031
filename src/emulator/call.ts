import type { IncomingHttpHeaders } from 'node:http';
import type { Row } from '../sentinel/row.ts';
import type { OpenRequest } from './requests.ts';
import type { ReceivedBody } from './wire.ts';

/** A request that was read, on its way to the part of Azure that answers it. */
export interface Call {
  readonly method: string;
  /** Decoded path segments. */
  readonly segments: readonly string[];
  /** Decoded: the SDK writes `api%2Dversion`. */
  readonly query: URLSearchParams;
  /** As it came: a continuation token must come back byte for byte. */
  readonly rawQuery: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: ReceivedBody;
  /** The origin under which the client knows the emulator. */
  readonly origin: string;
  /** Its record, filled in on the way. */
  readonly request: OpenRequest;
  /** What an ingest call holds; null for the other kinds. */
  readonly payload: IngestPayload | null;
}

/** The body of an ingest call, decompressed and parsed as far as it goes. */
export type IngestPayload =
  | { readonly type: 'rows'; readonly rows: readonly Row[]; readonly bytes: number }
  | { readonly type: 'empty' }
  | { readonly type: 'too_large'; readonly bytes: number }
  | { readonly type: 'unknown_encoding'; readonly encoding: string }
  | { readonly type: 'invalid'; readonly message: string };
