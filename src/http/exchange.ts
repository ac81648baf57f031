import type { Request, Response } from 'express';
import type { AcceptedEvent } from '../outbox/port.ts';
import type { Authentication } from './authenticate.ts';
import { requestIdOf, type TraceContext, traceContextOf } from './caller-labels.ts';

/** `metrics` and `admin` are those of the admin port. */
export type Route = 'webhook' | 'livez' | 'readyz' | 'healthz' | 'metrics' | 'admin' | 'other';

/** What is known of one request when its answer is ready; the log and the metrics are made from it. */
export class RequestRecord {
  readonly requestId: string;
  /** Null: no `traceparent`, or one that is not well-formed. */
  readonly trace: TraceContext | null;
  readonly method: string;
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
  /** Empty unless accepted. */
  events: readonly AcceptedEvent[] = [];
  batch = false;
  quarantined = false;
  /** Accepted, with text that looks as if a template had escaped it. */
  looksEscaped = false;
  /** There was an X-Apono-Feed header that could not be used, see caller-labels.ts. */
  feedIgnored = false;

  constructor({ headers, method }: Request) {
    this.requestId = requestIdOf(headers['x-request-id']);
    this.trace = traceContextOf(headers['traceparent']);
    this.method = method;
  }
}

/** A request on its way, and what was learnt of it so far. */
export interface Exchange {
  readonly request: Request;
  readonly response: Response;
  /** By performance.now(). */
  readonly startedAtMs: number;
  readonly record: RequestRecord;
}
