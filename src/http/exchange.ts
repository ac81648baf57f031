import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import type { Authentication } from './authenticate.ts';

/** `metrics` and `admin` are those of the admin port. */
export type Route = 'webhook' | 'livez' | 'readyz' | 'healthz' | 'metrics' | 'admin' | 'other';

/** What is known of one request when its answer is ready; the log and the metrics are made from it. */
export class RequestRecord {
  readonly requestId: string;
  /**
   * The place of the request in a distributed trace, as 32 and 16 hex digits: its caller's span, since this service makes
   * none of its own. Null: no `traceparent`, or one that is not well-formed.
   */
  readonly trace: { readonly traceId: string; readonly spanId: string } | null;
  readonly method: string;
  readonly startedAtMs = performance.now();
  route: Route = 'other';
  /** Null: the caller went away before there was an answer. */
  status: number | null = null;
  /** The code of the problem that was answered, or `request_aborted`. */
  code: string | null = null;
  durationMs = 0;
  /** Null: the secret was not asked for. */
  authentication: Authentication | null = null;
  /** Only of requests that failed before or at the secret. */
  clientAddress: string | null = null;
  /** After inflation; null: not read. */
  bodyBytes: number | null = null;
  /** What the answer says of accepted events, `events` those of a batch; null unless accepted. The log says the same. */
  accepted: { readonly events?: readonly object[] } | null = null;
  quarantined = false;
  /** There was an X-Apono-Feed header that could not be used. */
  feedIgnored = false;

  constructor({ headers, method }: Request) {
    const id = headers['x-request-id'];
    // The caller's, if it is well-formed, so that its log and ours can be joined; otherwise a new one.
    this.requestId = typeof id === 'string' && wellFormedId.test(id) ? id : randomUUID();
    this.trace = traceContextOf(headers['traceparent']);
    this.method = method;
  }
}

export interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly record: RequestRecord;
}

// A caller may label its requests with headers. One that cannot be used is left out: it is not worth an event.

/** Safe in a header, in a log line and on a terminal. */
const wellFormedId = /^[A-Za-z0-9._-]{1,128}$/;

/** version - trace-id - parent-id - flags, and after the flags what a later version may add. */
const traceparent =
  /^(?!ff)(?<version>[\da-f]{2})-(?!0+-)(?<traceId>[\da-f]{32})-(?!0+-)(?<spanId>[\da-f]{16})-[\da-f]{2}(?<more>-.*)?$/;

/**
 * The `traceparent` header (W3C Trace Context, 3.2). Null if it is not well-formed: version ff, ids of zeros only,
 * capitals, anything after the flags in version 00, or more than one header, which Node joins with a comma.
 */
export function traceContextOf(header: string | string[] | undefined): RequestRecord['trace'] {
  if (typeof header !== 'string' || header.length > 512) return null;
  const { version, traceId, spanId, more } = traceparent.exec(header)?.groups ?? {};
  if (traceId === undefined || spanId === undefined || (version === '00' && more !== undefined)) return null;
  return { traceId, spanId };
}

const maxFeedCharacters = 128;
/** Control, format, surrogate, private and unassigned characters, and the two separators that break lines. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/u;

/**
 * The X-Apono-Feed header: a label that the Apono admin chose, for the column `feed`. It is trimmed, and read as UTF-8
 * (Node hands headers on as latin1). Null if it is empty, too long, not printable, or sent twice with different values.
 */
export function readFeed({ request, record }: Exchange): string | null {
  const [first, ...others] = request.headersDistinct['x-apono-feed'] ?? [];
  const bytes = Buffer.from(first ?? '', 'latin1');
  const label = isUtf8(bytes) ? bytes.toString().trim() : '';
  const isOne = others.every((other) => other === first);
  if (isOne && label !== '' && [...label].length <= maxFeedCharacters && !unprintable.test(label)) return label;
  record.feedIgnored = [first, ...others].some((value) => value);
  return null;
}
