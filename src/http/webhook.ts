import type { Clock } from '../clock.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Answer } from './answer.ts';
import type { Authenticator } from './authenticate.ts';
import { checkBodyHeaders, declaredBytes, expectsContinue, readBody, tooBusy } from './body.ts';
import { clientAddress, isFromUnknownProxy } from './client-address.ts';
import type { Exchange } from './exchange.ts';
import type { FailureLimiter } from './failure-limit.ts';
import { feedOf } from './feed.ts';
import type { InFlightBytes } from './in-flight.ts';
import type { EdgeLimits } from './limits.ts';
import { problem, quarantined } from './problem.ts';
import type { ProblemCode } from './problem-codes.ts';
import { createLimitedReceive } from './receive-limit.ts';
import type { AcceptedEvent, Receive, Received, ReceivedBody } from './receiver.ts';

export interface WebhookOptions {
  readonly authenticator: Authenticator;
  readonly failures: FailureLimiter;
  readonly isAllowed: (address: string) => boolean;
  readonly receive: Receive;
  readonly inFlight: InFlightBytes;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly log: Logger;
  /** The server takes no new events. */
  readonly isClosing: () => boolean;
}

const authenticationProblems = {
  missing: 'secret_missing',
  not_bearer: 'authorization_not_bearer',
  wrong: 'secret_wrong',
} as const satisfies Record<string, ProblemCode>;

/**
 * address → secret → headers of the body → body → receiver → answer; app.ts has looked at path and method before.
 * Nothing is read for a caller without the secret. `kind`: the one that the path names; null: none.
 */
export function createWebhook(options: WebhookOptions): (exchange: Exchange, kind: string | null) => Promise<Answer> {
  const { inFlight, limits, clock } = options;
  const receive = createLimitedReceive(options);
  const warnOfUnknownProxy = unknownProxyWarning(options.log);
  return async (exchange, kind) => {
    const { request, response, record } = exchange;
    await admit(exchange, options);
    if (isFromUnknownProxy(request)) warnOfUnknownProxy();
    const decoder = checkBodyHeaders(request, limits);
    if (options.isClosing()) throw problem('stopping', { retryAfterSeconds: 5 });
    const reservation = inFlight.reserve(declaredBytes(request));
    if (reservation === null) throw tooBusy();
    let body: ReceivedBody;
    try {
      if (expectsContinue(request)) response.writeContinue();
      const bytes = await readBody(request, { decoder, limits, clock, reservation });
      record.bodyBytes = bytes.length;
      const feedHeaders = request.headersDistinct['x-apono-feed'];
      const feed = feedOf(feedHeaders);
      record.feedIgnored = feed === null && (feedHeaders?.some((value) => value !== '') ?? false);
      body = { bytes, feed, kind };
    } catch (error) {
      reservation.release();
      throw error;
    }
    return answerOf(await receive(body, { requestId: record.requestId, onSettled: reservation.release }), exchange);
  };
}

async function admit({ request, response, record }: Exchange, options: WebhookOptions): Promise<void> {
  const address = clientAddress(request);
  if (!options.isAllowed(address)) {
    record.clientAddress = address;
    throw problem('address_not_allowed');
  }
  const authentication = options.authenticator.authenticate(request.headersDistinct);
  record.authentication = authentication;
  if (authentication === 'current' || authentication === 'previous') return;
  record.clientAddress = address;
  await options.failures.count(request, response);
  throw problem(authenticationProblems[authentication], {
    headers: { 'WWW-Authenticate': 'Bearer' },
  });
}

/** Once is enough: it is a matter of configuration. Asked only of authentic requests, so that nobody else can raise it. */
function unknownProxyWarning(log: Logger): () => void {
  let warned = false;
  return () => {
    if (warned) return;
    warned = true;
    log.warn(
      { code: 'unknown_proxy' },
      'webhooks come through a proxy that TRUST_PROXY does not name, so all callers have its address: set TRUST_PROXY',
    );
  };
}

function answerOf(received: Received, { record }: Exchange): Answer {
  switch (received.outcome) {
    case 'accepted':
      record.events = received.events;
      record.batch = received.batch;
      return accepted(received.events, received.batch);
    case 'not_json':
      record.quarantined = true;
      throw quarantined(400, received);
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
  const first = events[0];
  if (first === undefined) throw new TypeError('the receiver accepted a body without an event');
  const duplicate = events.every((event) => event.duplicate);
  const storedSince = events.reduce((latest, event) => Math.max(latest, event.firstStoredAt), first.firstStoredAt);
  const fields = {
    status: 'accepted',
    event_id: first.eventId,
    kind: first.kind,
    rows: events.reduce((sum, event) => sum + event.rows, 0),
    duplicate,
    ...(duplicate && { message: `already stored since ${new Date(storedSince).toISOString()}` }),
    ...(batch && { events: events.map(eventFields) }),
  };
  return { status: 200, contentType: 'application/json', body: { ...fields, data: fields } };
}

function eventFields({ eventId, kind, rows, duplicate }: AcceptedEvent): Record<string, unknown> {
  return { event_id: eventId, kind, rows, duplicate };
}
