import { parseRetryAfter } from './backoff.ts';
import type { UploadResult } from './ingestion.ts';

/** What an answer of Azure means for the rows of the call: DESIGN.md, "What an answer of Azure means". */
export type Outcome =
  | { readonly type: 'delivered' }
  /** Passing: the same rows again later. `retryAfterMs` is what Azure asked for. */
  | { readonly type: 'retry'; readonly retryAfterMs: number | null }
  /** The call is too big: its halves. */
  | { readonly type: 'split' }
  /** Something in the call is refused, as far as is known: find out which row. */
  | { readonly type: 'refused'; readonly code: string; readonly message: string }
  /** Nothing in the rows is wrong, a person has to change something: everything waits. */
  | { readonly type: 'hold' };

/** Total: every answer has its meaning, and what nobody foresaw buries nothing. */
export function outcomeOf(result: UploadResult, nowMs: number): Outcome {
  switch (result.type) {
    case 'unanswered':
      return { type: 'retry', retryAfterMs: null };
    case 'no_token':
      return result.refused ? { type: 'hold' } : { type: 'retry', retryAfterMs: null };
    case 'answered':
      return outcomeOfStatus(result, nowMs);
  }
}

function outcomeOfStatus(answer: UploadResult & { type: 'answered' }, nowMs: number): Outcome {
  const { status } = answer;
  if (status >= 200 && status < 300) return { type: 'delivered' };
  if (status === 408 || status === 429 || status >= 500) {
    return { type: 'retry', retryAfterMs: parseRetryAfter(answer.retryAfter, nowMs) };
  }
  if (status === 413) return { type: 'split' };
  if (status === 400 && answer.code !== 'InvalidStream') {
    return { type: 'refused', code: answer.code ?? 'bad_request', message: answer.message ?? 'Azure gave no reason' };
  }
  return { type: 'hold' };
}
