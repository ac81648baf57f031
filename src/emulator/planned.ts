import type { Call } from './call.ts';
import type { FaultAnswer } from './faults.ts';
import { ingestHeaders } from './ingest.ts';
import { azureError, jsonReply, type Reply } from './wire.ts';

/** The answer that a step asks for; `proper` is what Azure would say, null when nothing was done. */
export function replyFor(answer: FaultAnswer, proper: Reply | null): Reply {
  if (answer.type === 'status') return planned(answer);
  return proper ?? azureError(503, 'ServiceUnavailable', 'The service is unavailable.');
}

function planned(answer: FaultAnswer & { type: 'status' }): Reply {
  const { status, body, headers = {} } = answer;
  if (body === undefined) return { status, headers, body: null, errorCode: null };
  if (typeof body === 'string' || body instanceof Uint8Array) return { status, headers, body, errorCode: null };
  return jsonReply(status, body as object, { headers, ...errorCodeOf(body) });
}

function errorCodeOf(body: unknown): { errorCode?: string } {
  const error = typeof body === 'object' && body !== null && 'error' in body ? body.error : null;
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : error;
  return typeof code === 'string' ? { errorCode: code } : {};
}

/** Adds the headers that each answer of its service carries. */
export function withHeaders(reply: Reply, call: Call, answer: FaultAnswer): Reply {
  if (answer.type === 'status' && answer.foreign === true) return reply;
  const usual = call.request.kind === 'token' || call.request.kind === 'openid' ? {} : ingestHeaders(call);
  return { ...reply, headers: { ...usual, ...reply.headers } };
}
