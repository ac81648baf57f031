import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, Socket } from 'node:net';
import type { Call } from './call.ts';
import type { ServerCertificate } from './certificate.ts';
import { token as entraToken, openid } from './entra.ts';
import { type FaultAnswer, type FaultPlan, labelOf } from './faults.ts';
import { ingest } from './ingest.ts';
import { managedIdentity } from './managed-identity.ts';
import { maxCallBytes, readPayload } from './payload.ts';
import { replyFor, withHeaders } from './planned.ts';
import { carriesToken, type OpenRequest, type RequestLog } from './requests.ts';
import { rule, table } from './resource-manager.ts';
import { type Route, routeOf } from './route.ts';
import { alertRules, incident, incidentDetail, listIncidents } from './sentinel.ts';
import type { AzureState } from './state.ts';
import type { PresentedToken } from './tokens.ts';
import { azureError, Connections, type Reply, readBody, send, sendPart } from './wire.ts';

const maxFormBytes = 65_536;

export interface ServerParts {
  readonly state: AzureState;
  readonly plan: FaultPlan;
  readonly log: RequestLog;
  readonly certificate: ServerCertificate;
  /** Names under which a client may know the emulator; any other Host header gets localhost in the links. */
  readonly hostNames: readonly string[];
  /** Called whenever a request came, was read, was answered or was lost. */
  readonly changed: () => void;
}

export interface RunningServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Rejects when the address cannot be listened on. */
export async function startServer(parts: ServerParts, host: string, port: number): Promise<RunningServer> {
  const connections = new Connections();
  const exchange = new Exchange(parts, connections);
  const server = createServer(
    // Azure keeps idle connections for minutes; Node's 5 s would cut them under a client that is about to use one.
    {
      key: parts.certificate.keyPem,
      cert: parts.certificate.certPem,
      keepAliveTimeout: 120_000,
      minVersion: 'TLSv1.2',
    },
    (req, res) => void exchange.handle(req, res),
  );
  server.on('connection', (socket) => {
    if (socket instanceof Socket) connections.add(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
  const { port: bound } = server.address() as AddressInfo;
  exchange.port = bound;
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopped ??= new Promise((resolve) => {
      exchange.stopped = true;
      server.close(() => resolve());
      connections.destroyAll();
    });
    return stopped;
  };
  return { port: bound, stop };
}

/** The way of one request: read, decide, answer or fail as planned, record. */
class Exchange {
  readonly #parts: ServerParts;
  readonly #connections: Connections;
  port = 0;
  /** Nothing is answered any more. */
  stopped = false;

  constructor(parts: ServerParts, connections: Connections) {
    this.#parts = parts;
    this.#connections = connections;
  }

  /** Never rejects. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { log, state, changed } = this.#parts;
    const route = routeOf(req);
    const path = `/${route.segments.join('/')}`.slice(0, 1024);
    const request = log.open({ kind: route.kind, method: req.method ?? '', path, at: state.clock.now() });
    describe(request, req, route);
    // What is still being done may store rows: until then a request of a client that went away is pending.
    let isAtWork = true;
    let isClosed = false;
    res.once('close', () => {
      isClosed = true;
      if (!isAtWork) this.#ended(request);
    });
    const token = this.#checkToken(request, req);
    changed();
    try {
      const body = await readBody(req, request.kind === 'ingest' ? maxCallBytes : maxFormBytes);
      request.bodyBytes = body.size;
      const payload = request.kind === 'ingest' ? await readPayload(body, req.headers['content-encoding']) : null;
      if (payload?.type === 'rows') request.rowCount = payload.rows.length;
      if (payload !== null && 'bytes' in payload) request.decompressedBytes = payload.bytes;
      const { segments, query, rawQuery } = route;
      const origin = this.#originFor(req.headers.host);
      const call = {
        method: request.method,
        segments,
        query,
        rawQuery,
        headers: req.headers,
        body,
        origin,
        request,
        payload,
      };
      await this.#answer(call, token, res);
    } catch (error) {
      // Either the client went away while it was sending, or the emulator (or a predicate of the plan) has a defect.
      if (res.headersSent || res.destroyed) return;
      this.#reply(
        request,
        res,
        azureError(500, 'EmulatorDefect', error instanceof Error ? error.message : String(error)),
      );
    } finally {
      isAtWork = false;
      if (isClosed) this.#ended(request);
    }
  }

  async #answer(call: Call, token: PresentedToken, res: ServerResponse): Promise<void> {
    const { request } = call;
    const step = this.#parts.plan.take(request, call.payload?.type === 'rows' ? call.payload.rows : []);
    if (step !== null) request.fault = labelOf(step);
    const answer: FaultAnswer = step?.answer ?? { type: 'pass' };
    const processed = answer.type === 'pass' || answer.processed === true;
    const proper = processed ? this.#process(call, token) : null;
    this.#parts.changed();
    if (answer.delayMs !== undefined) await this.#delay(answer.delayMs, res);
    if (res.destroyed || this.stopped) return;
    const reply = withHeaders(replyFor(answer, proper), call, answer);
    if (answer.type === 'hang' || answer.type === 'reset') {
      await this.#cut(answer, reply, request, res);
      return;
    }
    this.#reply(request, res, reply);
  }

  #reply(request: OpenRequest, res: ServerResponse, reply: Reply): void {
    request.status = reply.status;
    request.errorCode = reply.errorCode;
    request.outcome = 'answered';
    request.endedAt = this.#parts.state.clock.now();
    send(res, reply);
    this.#parts.changed();
  }

  async #cut(
    answer: FaultAnswer & { type: 'hang' | 'reset' },
    reply: Reply,
    request: OpenRequest,
    res: ServerResponse,
  ): Promise<void> {
    const at = answer.at ?? 'start';
    request.status = at === 'start' ? null : reply.status;
    request.outcome = answer.type === 'hang' ? 'hung' : 'reset';
    await sendPart(res, reply, at);
    if (answer.type === 'reset' && res.socket !== null) this.#connections.reset(res.socket);
    this.#parts.changed();
  }

  #process(call: Call, token: PresentedToken): Reply {
    const { state } = this.#parts;
    switch (call.request.kind) {
      case 'openid':
        return openid(state, call);
      case 'token':
        return entraToken(state, call);
      case 'managed_identity':
        return managedIdentity(state, call);
      case 'ingest':
        return ingest(state, call, token);
      case 'rule':
        return rule(state, call, token);
      case 'table':
        return table(state, call, token);
      case 'incidents':
        return listIncidents(state, call, token);
      case 'incident':
        return incident(state, call, token);
      case 'incident_detail':
        return incidentDetail(state, call, token);
      case 'alert_rules':
      case 'alert_rule':
        return alertRules(state, call, token);
      case 'other':
        return azureError(404, 'NotFound', 'The emulator has nothing at this path.');
    }
  }

  #checkToken(request: OpenRequest, req: IncomingMessage): PresentedToken {
    const { kind } = request;
    if (!carriesToken(kind)) {
      return { state: 'none', id: null, audience: null, expiresAt: null };
    }
    const service = kind === 'ingest' ? 'ingestion' : 'resource_manager';
    const token = this.#parts.state.tokens.check(req.headers.authorization, service);
    request.tokenState = token.state;
    request.tokenId = token.id;
    return token;
  }

  /** Ends early when the client goes away or the emulator stops: then the connection closes. */
  #delay(delayMs: number, res: ServerResponse): Promise<void> {
    return new Promise((resolve) => {
      let cancel = (): void => {};
      const done = (): void => {
        cancel();
        res.off('close', done);
        resolve();
      };
      res.once('close', done);
      cancel = this.#parts.state.clock.setTimer(delayMs, done);
    });
  }

  #ended(request: OpenRequest): void {
    if (request.outcome === 'pending') request.outcome = 'aborted';
    request.endedAt ??= this.#parts.state.clock.now();
    this.#parts.changed();
  }

  #originFor(host: string | undefined): string {
    const name = host?.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    const known = name !== undefined && this.#parts.hostNames.includes(name);
    return known ? `https://${host}` : `https://localhost:${this.port}`;
  }
}

function describe(request: OpenRequest, req: IncomingMessage, { kind, stream, query, rawQuery }: Route): void {
  request.query = kind === 'incidents' ? rawQuery : null;
  request.stream = stream;
  request.contentEncoding = req.headers['content-encoding']?.slice(0, 64) ?? null;
  request.userAgent = req.headers['user-agent']?.slice(0, 256) ?? null;
  const id =
    req.headers['x-ms-client-request-id'] ?? req.headers['client-request-id'] ?? query.get('client-request-id');
  request.clientRequestId = id?.toString().slice(0, 128) ?? null;
}
