import { parseRetryAfter } from './backoff.ts';
import type { HoldCode } from './hold-code.ts';
import type { UploadResult } from './ingestion.ts';

/** What an answer of Azure means for the rows of the call: DESIGN.md, "What an answer of Azure means". */
export type Outcome =
  | { readonly type: 'delivered' }
  /** Passing: the same rows again later. `retryAfterMs` is what Azure asked for. */
  | { readonly type: 'retry'; readonly retryAfterMs: number | null }
  /** The call is too much: its halves. `isRowAtFault`: a row that is refused alone can never be sent. */
  | { readonly type: 'split'; readonly isRowAtFault: boolean }
  /** Something in the call is refused, as far as is known: find out which row. */
  | { readonly type: 'refused'; readonly code: string; readonly message: string }
  /** Nothing in the rows is wrong, a person has to change something: everything waits. */
  | { readonly type: 'hold'; readonly code: HoldCode };

/** Total: every answer has its meaning, and what nobody foresaw buries nothing. */
export function outcomeOf(result: UploadResult, nowMs: number): Outcome {
  switch (result.type) {
    case 'unanswered':
      return { type: 'retry', retryAfterMs: null };
    case 'no_token':
      if (result.blocked) return { type: 'hold', code: 'not_azure' };
      return result.refused ? { type: 'hold', code: 'token_refused' } : { type: 'retry', retryAfterMs: null };
    case 'answered':
      return outcomeOfAnswer(result, nowMs);
  }
}

type Answer = UploadResult & { type: 'answered' };

function outcomeOfAnswer(answer: Answer, nowMs: number): Outcome {
  const { status, by } = answer;
  // Whatever a proxy answers to CONNECT, 204 among it, no row has reached Azure.
  if (by === 'proxy') return { type: 'hold', code: 'not_azure' };
  if (status === 204) return { type: 'delivered' };
  // A page is held even with 502 or 503: trying again keeps the rows in either case, but a proxy that blocks the way
  // answers like this for days, and only a hold tells somebody. It ends with the first 204, as any hold does.
  if (by === 'page') return { type: 'hold', code: 'not_azure' };
  // These come without Azure's marks too, from the load balancers in front of it.
  if (status === 408 || status === 429 || status >= 500) {
    return { type: 'retry', retryAfterMs: parseRetryAfter(answer.retryAfter, nowMs) };
  }
  // An unmarked 400 or 413 is about a proxy's rules, not about a row.
  if (by === 'unmarked' || status < 400) return { type: 'hold', code: 'not_azure' };
  return outcomeOfRefusal(answer);
}

/** Azure's own 4xx. */
function outcomeOfRefusal(answer: Answer): Outcome {
  const { status, code, message } = answer;
  switch (status) {
    case 400:
      if (code === 'InvalidStream') return { type: 'hold', code: 'stream_refused' };
      return { type: 'refused', code: code ?? 'bad_request', message: message ?? 'Azure gave no reason' };
    case 401:
      return { type: 'hold', code: 'token_rejected' };
    case 403:
      return { type: 'hold', code: 'role_missing' };
    case 404:
      return { type: 'hold', code: 'rule_not_found' };
    case 413:
      return { type: 'split', isRowAtFault: !isSlowUplink(answer) };
    default:
      return { type: 'hold', code: 'azure_refused' };
  }
}

/** Azure answers 413 also when the body did not arrive in time: `TimeoutExpired`, "ReadyBody_ClientConnectionAbort". */
function isSlowUplink({ code, message }: Answer): boolean {
  return code !== 'ContentLengthLimitExceeded' && /TimeoutExpired|ClientConnectionAbort/i.test(`${code} ${message}`);
}
