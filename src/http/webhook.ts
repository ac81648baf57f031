import type { Request } from 'express';
import type { Config } from '../config/config.ts';
import { EndedError, runWithin } from '../ground/clock.ts';
import type { ReceivedBody } from '../intake/understand.ts';
import type { AcceptedEvent, Receive, Received } from '../outbox/port.ts';
import { type Answer, HttpProblem, jsonAnswer, problem, quarantined } from './answer.ts';
import type { AppRoute } from './app.ts';
import { authenticate, createJudge } from './authenticate.ts';
import { createBodyReader } from './body.ts';
import { createClients } from './client-address.ts';
import { createComplaints } from './complaints.ts';
import { type Exchange, type RequestRecord, readFeed } from './exchange.ts';
import { createHealth, type ServiceState } from './health.ts';
import type { History } from './history.ts';
import { defaultLimits, type EdgeLimits } from './limits.ts';
import { createListener, type Listener, type ListenerOptions } from './listener.ts';

export interface ServerOptions extends Pick<ListenerOptions, 'clock' | 'log' | 'onRequest'> {
  readonly webhook: Omit<Config['webhook'], 'escaping'>;
  readonly receive: Receive;
  /** Names of the webhook kinds, each of which has a path of its own. */
  readonly kinds: readonly string[];
  readonly health: ServiceState;
  /** Is told of each request and of what was stored. */
  readonly history: History;
  readonly version: string;
  /** Called with what was stored, also when its caller had been answered outbox_timeout before. */
  readonly onAccepted?: (events: readonly AcceptedEvent[]) => void;
  readonly limits?: Partial<EdgeLimits>;
}

/** The webhook port; `health` is what /healthz answers. */
export function createServer(options: ServerOptions) {
  const { webhook, history } = options;
  const { maxBodyBytes, keepAliveMs } = webhook;
  const limits = { ...defaultLimits(maxBodyBytes), keepAliveTimeoutMs: keepAliveMs, ...options.limits };
  const clients = createClients(webhook);
  async function receive(body: ReceivedBody): Promise<Received> {
    const received = await options.receive(body);
    if (received.outcome === 'accepted') {
      history.onAccepted(received);
      options.onAccepted?.(received.events);
    }
    return received;
  }
  const state = (): Listener['state'] => listener.state;
  const health = createHealth({ ...options, sources: options.health, state });
  const handleWebhook = createWebhook({ ...options, receive, limits, clients, state });
  const webhooks = [null, ...options.kinds].map(
    (kind): AppRoute => ({
      path: kind === null ? '/apono/webhook' : `/apono/webhook/${kind}`,
      route: 'webhook',
      methods: ['POST', 'PUT'],
      handler: (exchange) => handleWebhook(exchange, kind),
    }),
  );
  const listener = createListener({
    ...options,
    ...webhook,
    name: 'webhook',
    limits,
    clients,
    routes: [...webhooks, ...health.routes],
    onRequest(record) {
      history.onRequest(record);
      options.onRequest?.(record);
    },
  });
  return { ...listener, health: health.read };
}

interface WebhookOptions extends Omit<ServerOptions, 'limits'>, Pick<ListenerOptions, 'limits' | 'clients'> {
  readonly state: () => Listener['state'];
}

const codes = { missing: 'secret_missing', not_bearer: 'authorization_not_bearer', wrong: 'secret_wrong' } as const;

/**
 * address → secret → body → receiver → answer; app.ts has looked at path and method before. Nothing is read for a
 * caller without the secret. `kind`: the one that the path names, or null.
 */
function createWebhook(options: WebhookOptions): (exchange: Exchange, kind: string | null) => Promise<Answer> {
  const { webhook, clients, state } = options;
  const judge = createJudge({ ...options, codes, challenge: 'Bearer' });
  const readBody = createBodyReader(options);
  const complain = createComplaints({ ...options, port: 'webhook' });
  return async (exchange, kind) => {
    const { request, record } = exchange;
    const { address, isAllowed } = clients.clientOf(request);
    if (!isAllowed) {
      record.clientAddress = address;
      throw problem('address_not_allowed');
    }
    await judge(exchange, authenticate(request.headersDistinct, webhook.secret, webhook.previousSecret));
    // Only authentic requests are looked at, so that nobody else can cause the warning.
    const isForwarded = request.headers['x-forwarded-for'] !== undefined;
    if (isForwarded && !clients.isFromTrustedProxy(request.socket.remoteAddress)) complain('unknown_proxy');
    if (state().isClosing) throw problem('stopping');
    if (state().isCrowded()) throw problem('too_busy');
    const { bytes, wrongEncoding, release } = await readBody(exchange);
    record.bodyBytes = bytes.length;
    const refusal = wrongEncoding && { code: wrongEncoding.parts.code, detail: wrongEncoding.message };
    const body = { bytes, feed: readFeed(exchange), kind, charset: charsetOf(request), ...(refusal && { refusal }) };
    const received = await receiveInTime(options, body, { requestId: record.requestId, release });
    if (received.outcome === 'accepted' && received.looksEscaped) complain('text_looks_escaped');
    if (received.outcome === 'full') complain('outbox_full');
    return answerOf(received, record, wrongEncoding);
  };
}

/** In lower case; null: UTF-8, or none, which is read as UTF-8 too. */
function charsetOf(request: Request): string | null {
  const named = /;\s*charset\s*=\s*"?([^\s";]{1,64})/i.exec(request.headers['content-type'] ?? '')?.[1];
  const charset = named?.toLowerCase() ?? 'utf-8';
  return charset === 'utf-8' || charset === 'utf8' ? null : charset;
}

/**
 * `receive`, but its caller waits for `receiveTimeoutMs` at most and then gets a 503 problem: if the disk hangs, each
 * request would hold one of the proxy's connections until the proxy itself times out. What becomes of the body is not
 * known at that time, so it is logged when it is, and the memory of the body is released only then.
 */
async function receiveInTime(
  { receive, limits, clock, log }: WebhookOptions,
  body: ReceivedBody,
  { requestId, release }: { requestId: string; release: () => void },
): Promise<Received> {
  const receiving = receive(body).finally(release);
  try {
    return await runWithin({ clock, limitMs: limits.receiveTimeoutMs }, () => receiving);
  } catch (error) {
    if (!(error instanceof EndedError)) throw error;
    void receiving.then(
      (received) => {
        const { outcome } = received;
        const events = outcome === 'accepted' ? received.events : [];
        const facts = events[0] && { event_id: events[0].eventId, event_count: events.length };
        log.warn({ request_id: requestId, outcome, ...facts }, 'a webhook that was answered outbox_timeout has ended');
      },
      (late: unknown) => {
        const name = late instanceof Error ? late.name : typeof late;
        log.error({ request_id: requestId, error: name }, 'a late webhook failed');
      },
    );
    throw problem('outbox_timeout');
  }
}

function answerOf(received: Received, record: RequestRecord, wrongEncoding: HttpProblem | null): Answer {
  switch (received.outcome) {
    case 'accepted':
      return accepted(received.events, record);
    case 'quarantined':
      record.quarantined = true;
      if (wrongEncoding === null) throw quarantined(received);
      throw new HttpProblem(wrongEncoding.message, { ...wrongEncoding.parts, members: { quarantined: true } });
    case 'full':
      throw problem('outbox_full');
    case 'unavailable':
      throw problem('outbox_unavailable');
    default:
      return received satisfies never;
  }
}

/** The fields stand twice because Apono's response validators look under `$.data.`. */
function accepted(events: readonly AcceptedEvent[], record: RequestRecord): Answer {
  const each = events.map(({ eventId, kind, rows, duplicate }) => ({ event_id: eventId, kind, rows, duplicate }));
  const [first] = each;
  if (first === undefined) throw new TypeError('the receiver accepted a body without an event');
  const facts = {
    ...first,
    rows: each.reduce((sum, { rows }) => sum + rows, 0),
    duplicate: each.every(({ duplicate }) => duplicate),
    ...(each.length > 1 && { events: each }),
  };
  record.accepted = facts;
  const storedSince = Math.max(...events.map(({ firstStoredAt }) => firstStoredAt));
  const message = `already stored since ${new Date(storedSince).toISOString()}`;
  const fields = { status: 'accepted', ...facts, ...(facts.duplicate && { message }) };
  return jsonAnswer(200, { ...fields, data: fields });
}
