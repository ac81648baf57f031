import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Call, defect, nothingHere, type Reply, readBody, send } from './call.ts';
import { formOf, openid, presentedToken } from './entra.ts';
import { type CutPoint, type FaultAnswer, type FaultPlan, labelOf, plannedReply } from './faults.ts';
import type { Exchange } from './https-server.ts';
import { alertRules, incident, incidentDetail, listIncidents } from './incidents.ts';
import { ingest, type Payload, readPayload, serviceHeaders } from './ingestion.ts';
import { audiencesOf, type OpenRequest, openRequest } from './requests.ts';
import { rule, table } from './resource-manager.ts';
import { managedIdentity, token } from './sign-in.ts';
import type { FakeAzure } from './state.ts';

export interface Parts {
  /** By `remoteSocketOf`. Node gives a request only its TLS socket, which cannot send a TCP reset. */
  readonly connections: Map<string, Socket>;
  readonly state: FakeAzure;
  readonly plan: FaultPlan;
  readonly requests: OpenRequest[];
  /** Called whenever a request came, was read, was answered or was lost. */
  readonly changed: () => void;
}

/** Reads a request, answers it or fails as planned, and records it. Never rejects. */
export async function handle(parts: Parts, { head, req, res }: Exchange): Promise<void> {
  const { state, requests, changed } = parts;
  const reset = (): void => void parts.connections.get(remoteSocketOf(req.socket))?.resetAndDestroy();
  const request = openRequest(requests.length, head, { url: req.url ?? '', at: state.clock.now() });
  requests.push(request);
  // A request of a client that went away stays pending as long as it may still store rows.
  let isAtWork = true;
  let isClosed = false;
  function ended(): void {
    if (request.outcome === 'pending') request.outcome = 'aborted';
    request.endedAt ??= state.clock.now();
    changed();
  }
  res.once('close', () => {
    isClosed = true;
    if (!isAtWork) ended();
  });
  const audiences = audiencesOf(request.kind);
  if (audiences !== null) {
    request.tokenState = presentedToken(state, head.headers.authorization, audiences).state;
    request.tokenId = tokenIdIn(head.headers.authorization);
  }
  changed();
  try {
    await answer(parts, { request, call: { ...head, body: await readBody(req) }, res, reset });
  } catch (error) {
    // Either the client went away while it was sending, or the emulator (or a predicate of the plan) has a defect.
    if (!res.headersSent && !res.destroyed) reply(parts, request, res, defect(error));
  } finally {
    isAtWork = false;
    if (isClosed) ended();
  }
}

export function remoteSocketOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

interface Work {
  readonly request: OpenRequest;
  readonly call: Call;
  readonly res: ServerResponse;
  reset(): void;
}

async function answer(parts: Parts, { request, call, res, reset }: Work): Promise<void> {
  const payload = request.kind === 'ingest' ? readPayload(call) : null;
  describe(request, call, payload);
  const step = parts.plan.take(request, payload?.type === 'rows' ? payload.rows : []);
  if (step !== null) request.fault = labelOf(step);
  const planned: FaultAnswer = step?.answer ?? { type: 'pass' };
  const isProcessed = planned.type === 'pass' || planned.processed === true;
  const proper = isProcessed ? process(parts.state, request, call, payload) : null;
  if (request.credential !== null) request.tokenId = tokenIdIn(String(proper?.body));
  parts.changed();
  if (planned.delayMs !== undefined) await delay(parts.state, planned.delayMs, res);
  if (res.destroyed) return;
  const chosen = withServiceHeaders(plannedReply(planned, proper), request, call, planned);
  if (planned.type !== 'hang' && planned.type !== 'reset') {
    reply(parts, request, res, chosen);
    return;
  }
  const at = planned.at ?? 'start';
  if (at !== 'start') request.status = chosen.status;
  request.outcome = planned.type === 'hang' ? 'hung' : 'reset';
  await sendPart(res, chosen, at);
  if (planned.type === 'reset') reset();
  parts.changed();
}

function describe(request: OpenRequest, call: Call, payload: Payload | null): void {
  request.bodyBytes = call.body.size;
  if (payload?.type === 'rows') request.rowCount = payload.rows.length;
  if (payload !== null && 'bytes' in payload) request.decompressedBytes = payload.bytes;
  if (request.kind === 'managed_identity') {
    request.scope = call.query.get('resource');
    request.credential = 'managed_identity';
  }
  if (request.kind !== 'token') return;
  const form = formOf(call);
  request.scope = form.get('scope');
  request.claims = form.get('claims');
  if (form.has('client_secret')) request.credential = 'client_secret';
  else if (form.has('client_assertion')) request.credential = 'client_assertion';
}

/** Does what Azure does, and returns its answer. */
function process(state: FakeAzure, request: OpenRequest, call: Call, payload: Payload | null): Reply {
  switch (request.kind) {
    case 'openid':
      return openid(state, call);
    case 'token':
      return token(state, call);
    case 'managed_identity':
      return managedIdentity(state, call);
    case 'ingest': {
      const answered = ingest(state, call, payload ?? readPayload(call));
      if (answered.status === 204) request.storedRowCount = request.rowCount ?? 0;
      return answered;
    }
    case 'rule':
      return rule(state, call);
    case 'table':
      return table(state, call);
    case 'incidents':
      return listIncidents(state, { ...call, rawQuery: request.query });
    case 'incident':
      return incident(state, call);
    case 'incident_detail':
      return incidentDetail(state, call);
    case 'alert_rules':
    case 'alert_rule':
      return alertRules(state, call);
    case 'other':
      return nothingHere();
  }
}

/** The id (`uti`) of a token, which is the middle part of one that looks like a JWT. */
function tokenIdIn(text = ''): string | null {
  try {
    return JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString()).uti;
  } catch {
    return null;
  }
}

/** Adds the headers that each answer of Azure Monitor and Resource Manager carries. */
function withServiceHeaders(chosen: Reply, { kind }: OpenRequest, call: Call, planned: FaultAnswer): Reply {
  const isForeign = planned.type === 'status' && planned.foreign === true;
  if (isForeign || kind === 'token' || kind === 'openid') return chosen;
  return { ...chosen, headers: { ...serviceHeaders(call), ...chosen.headers } };
}

function reply({ state, changed }: Parts, request: OpenRequest, res: ServerResponse, answered: Reply): void {
  request.status = answered.status;
  request.errorCode = errorCodeOf(answered);
  request.outcome = 'answered';
  request.endedAt = state.clock.now();
  send(res, answered);
  changed();
}

function errorCodeOf({ status, body }: Reply): string | null {
  if (status < 400 || typeof body !== 'string') return null;
  try {
    const { error, error_codes: numbers } = JSON.parse(body);
    return numbers === undefined ? error.code : `AADSTS${numbers[0]}`;
  } catch {
    return null;
  }
}

/** Ends early when the client goes away or the emulator stops: then the connection closes. */
function delay({ clock }: FakeAzure, delayMs: number, res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    let cancel = (): void => {};
    const done = (): void => {
      cancel();
      res.off('close', done);
      resolve();
    };
    res.once('close', done);
    cancel = clock.setTimer(delayMs, done);
  });
}

/** Sends the part of an answer that comes before the cut, and resolves when it is out. */
async function sendPart(res: ServerResponse, answered: Reply, at: CutPoint): Promise<void> {
  if (at === 'start') return;
  // A 204 has no body in which it could be cut: its headers would be the whole of it.
  const whole =
    answered.body === null ? { ...answered, status: 200, body: '{"message":"this answer is cut"}' } : answered;
  const bytes = Buffer.from(whole.body ?? '');
  res.writeHead(whole.status, { ...whole.headers, 'content-length': bytes.length });
  res.flushHeaders();
  if (at === 'half_body') res.write(bytes.subarray(0, Math.ceil(bytes.length / 2)));
  if (res.writableNeedDrain) await Promise.race([once(res, 'drain'), once(res, 'close')]);
}
