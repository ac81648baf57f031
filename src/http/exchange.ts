import type { Request, Response } from 'express';
import type { AcceptedEvent } from '../outbox/receive.ts';
import type { Authentication } from './authenticate.ts';
import { requestIdOf, type TraceContext, traceContextOf } from './caller-labels.ts';

/** `metrics` and `admin` are those of the admin port. */
export type Route = 'webhook' | 'livez' | 'readyz' | 'healthz' | 'metrics' | 'admin' | 'other';

/** What is known of one request when its answer is ready; the log and the metrics are made from it. */
export interface RequestRecord {
  readonly requestId: string;
  /** Null: no `traceparent`, or one that is not well-formed. */
  readonly trace: TraceContext | null;
  readonly method: string;
  readonly route: Route;
  /** Null: the caller went away before there was an answer. */
  readonly status: number | null;
  /** The code of the problem that was answered, or `request_aborted`. */
  readonly code: string | null;
  readonly durationMs: number;
  /** Null: the secret was not asked for. */
  readonly authentication: Authentication | null;
  /** Only of requests that failed before or at the secret. */
  readonly clientAddress: string | null;
  /** After inflation; null: not read. */
  readonly bodyBytes: number | null;
  /** Empty unless accepted. */
  readonly events: readonly AcceptedEvent[];
  readonly batch: boolean;
  readonly quarantined: boolean;
  /** Accepted, with text that looks as if a template had escaped it. */
  readonly looksEscaped: boolean;
  /** There was an X-Apono-Feed header that could not be used, see caller-labels.ts. */
  readonly feedIgnored: boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A request on its way, and what was learnt of it so far. */
export interface Exchange {
  readonly request: Request;
  readonly response: Response;
  /** By performance.now(). */
  readonly startedAtMs: number;
  readonly record: Mutable<RequestRecord>;
}

export function beginExchange(request: Request, response: Response): Exchange {
  const record: Mutable<RequestRecord> = {
    requestId: requestIdOf(request.headers['x-request-id']),
    trace: traceContextOf(request.headers['traceparent']),
    method: request.method,
    route: 'other',
    status: null,
    code: null,
    durationMs: 0,
    authentication: null,
    clientAddress: null,
    bodyBytes: null,
    events: [],
    batch: false,
    quarantined: false,
    looksEscaped: false,
    feedIgnored: false,
  };
  return { request, response, startedAtMs: performance.now(), record };
}
