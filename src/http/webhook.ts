import type { Request } from 'express';
import type { Logger } from '../ground/log.ts';
import type { AcceptedEvent, Receive, Received } from '../outbox/port.ts';
import { type Answer, jsonAnswer } from './answer.ts';
import type { Authenticator } from './authenticate.ts';
import { type BodyReader, checkBodyHeaders, readBody } from './body.ts';
import { feedOf } from './caller-labels.ts';
import type { Client, Clients } from './client-address.ts';
import type { Exchange, RequestRecord } from './exchange.ts';
import type { FailureLimiter } from './failure-limit.ts';
import { tooBusy } from './limits.ts';
import { type HttpProblem, keptAllTheSame, problem, quarantined } from './problem.ts';
import { receiveInTime } from './receive-limit.ts';
import { eventFields } from './request-log.ts';

interface WebhookOptions extends BodyReader {
  readonly authenticator: Authenticator;
  readonly failures: FailureLimiter;
  readonly clients: Clients;
  readonly isAllowed: (client: Client) => boolean;
  readonly receive: Receive;
  readonly log: Logger;
  /** The server takes no new events. */
  readonly isClosing: () => boolean;
  /** Too many requests are under way; the connections that are left are for probes. */
  readonly isCrowded: () => boolean;
}

const authenticationProblems = {
  missing: 'secret_missing',
  not_bearer: 'authorization_not_bearer',
  wrong: 'secret_wrong',
} as const;

/**
 * address → secret → headers of the body → body → receiver → answer; app.ts has looked at path and method before.
 * Nothing is read for a caller without the secret. `kind`: the one that the path names, or null.
 */
export function createWebhook(options: WebhookOptions): (exchange: Exchange, kind: string | null) => Promise<Answer> {
  const warnOfUnknownProxy = unknownProxyWarning(options);
  const warnOfEscapedText = escapedTextWarning(options.log);
  return async (exchange, kind) => {
    const { request, record } = exchange;
    await authenticate(exchange, options);
    warnOfUnknownProxy(request);
    const headers = checkBodyHeaders(request, options.limits);
    if (options.isClosing()) throw problem('stopping', { retryAfterSeconds: 5 });
    if (options.isCrowded()) throw tooBusy();
    const { bytes, wrongEncoding, release } = await readBody(exchange, headers, options);
    record.bodyBytes = bytes.length;
    const refusal = wrongEncoding && { code: wrongEncoding.code, detail: wrongEncoding.message };
    const body = { bytes, feed: readFeed(exchange), kind, charset: charsetOf(request), ...(refusal && { refusal }) };
    const received = await receiveInTime(options, body, { requestId: record.requestId, onSettled: release });
    const answer = answerOf(received, record, wrongEncoding);
    warnOfEscapedText(record);
    return answer;
  };
}

/** Throws unless the address may send webhooks and the secret is right. */
async function authenticate(exchange: Exchange, options: WebhookOptions): Promise<void> {
  const { request, record } = exchange;
  const client = options.clients.clientOf(request);
  if (!options.isAllowed(client)) {
    record.clientAddress = client.address;
    throw problem('address_not_allowed');
  }
  const authentication = options.authenticator.authenticate(request.headersDistinct);
  record.authentication = authentication;
  if (authentication === 'current' || authentication === 'previous') return;
  const headers = { 'WWW-Authenticate': 'Bearer' };
  throw await options.failures.count(exchange, problem(authenticationProblems[authentication], { headers }));
}

/** In lower case; null: UTF-8, or none, which is read as UTF-8 too. */
function charsetOf(request: Request): string | null {
  const named = /;\s*charset\s*=\s*"?([^\s";]{1,64})/i.exec(request.headers['content-type'] ?? '')?.[1];
  const charset = named?.toLowerCase() ?? 'utf-8';
  return charset === 'utf-8' || charset === 'utf8' ? null : charset;
}

function readFeed({ request, record }: Exchange): string | null {
  const values = request.headersDistinct['x-apono-feed'] ?? [];
  const feed = feedOf(values);
  record.feedIgnored = feed === null && values.some((value) => value !== '');
  return feed;
}

/**
 * Warns once, since it is a matter of configuration. Only authentic requests are looked at, so that nobody else can
 * cause it.
 */
function unknownProxyWarning({ clients, log }: WebhookOptions): (request: Request) => void {
  let warned = false;
  return (request) => {
    if (warned || request.headers['x-forwarded-for'] === undefined) return;
    warned = !clients.isFromTrustedProxy(request.socket.remoteAddress);
    if (!warned) return;
    log.warn(
      { code: 'unknown_proxy' },
      'webhooks come through a proxy that TRUST_PROXY does not name, so all callers have its address: set TRUST_PROXY',
    );
  };
}

/** Warns once, since it is a matter of configuration. /healthz goes on saying it. */
function escapedTextWarning(log: Logger): (record: RequestRecord) => void {
  let warned = false;
  return ({ looksEscaped }) => {
    if (warned || !looksEscaped) return;
    warned = true;
    log.warn(
      { code: 'text_looks_escaped' },
      'the text of an event holds HTML entities and was stored as it came, because its event_time is a number: put event_time in quotes in the body template, or set APONO_TEMPLATE_ESCAPING to html',
    );
  };
}

function answerOf(received: Received, record: RequestRecord, wrongEncoding: HttpProblem | null): Answer {
  switch (received.outcome) {
    case 'accepted':
      record.events = received.events;
      record.batch = received.batch;
      record.looksEscaped = received.looksEscaped ?? false;
      return accepted(received.events, received.batch);
    case 'not_json':
      record.quarantined = true;
      throw wrongEncoding === null ? quarantined(400, received) : keptAllTheSame(wrongEncoding);
    case 'not_understood':
      record.quarantined = true;
      throw quarantined(422, received);
    case 'full':
      throw problem('outbox_full', { retryAfterSeconds: 60 });
    case 'unavailable':
      throw problem('outbox_unavailable', { retryAfterSeconds: 10 });
    default:
      return received satisfies never;
  }
}

/** The fields stand twice because Apono's response validators look under `$.data.`. */
function accepted(events: readonly AcceptedEvent[], batch: boolean): Answer {
  const [first] = events;
  if (first === undefined) throw new TypeError('the receiver accepted a body without an event');
  const duplicate = events.every((event) => event.duplicate);
  const storedSince = events.reduce((latest, event) => Math.max(latest, event.firstStoredAt), 0);
  const fields = {
    status: 'accepted',
    event_id: first.eventId,
    kind: first.kind,
    rows: events.reduce((sum, event) => sum + event.rows, 0),
    duplicate,
    ...(duplicate && { message: `already stored since ${new Date(storedSince).toISOString()}` }),
    ...(batch && { events: events.map(eventFields) }),
  };
  return jsonAnswer(200, { ...fields, data: fields });
}
