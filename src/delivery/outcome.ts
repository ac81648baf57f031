import { isPassing, parseRetryAfter } from './backoff.ts';

/** What came of one request to the Logs Ingestion API. Retries are delivery's, not the client's. */
export type UploadResult =
  | {
      readonly type: 'answered';
      readonly status: number;
      /**
       * Who answered, as far as it can be told. `unmarked`: nothing in it says that it is Azure's. `page`: a page of
       * HTML, whoever wrote it. `proxy`: the proxy answered CONNECT, so that nothing reached Azure.
       */
      readonly by: 'azure' | 'unmarked' | 'page' | 'proxy';
      /** `host:port` of the proxy on the way, without user and password; null: none is known. */
      readonly proxy: string | null;
      /** From Azure's error body or header. It looks like a code, so it may be logged. */
      readonly code: string | null;
      /** Azure's own words, which may quote a row: for the admin port and the terminal alone. */
      readonly message: string | null;
      /** The Retry-After header as it came. */
      readonly retryAfter: string | null;
      readonly clientRequestId: string;
    }
  /** No whole answer came: connection, DNS or TLS failure, or the time limit. */
  | {
      readonly type: 'unanswered';
      readonly reason: 'network' | 'timeout' | 'aborted';
      readonly message: string;
      readonly clientRequestId: string;
    }
  /** No token, so nothing was sent. */
  | { readonly type: 'no_token'; readonly failure: TokenFailure };

export interface TokenFailure {
  /**
   * `token_refused`: the credential was judged and rejected (by Entra, by the managed identity endpoint, or because its own
   * file cannot be read), so that a person must change something. `token_unreachable`: nobody judged it, trying again can
   * help.
   */
  readonly code: 'token_refused' | 'token_unreachable';
  /** `AADSTS7000222` and the like, where the answer names one. */
  readonly aadsts: string | null;
  /** What happened: hosts, statuses and codes, so it may be logged. */
  readonly message: string;
  /** The words of Entra or of the identity endpoint, for the admin port and the terminal alone. They hold no secret of ours. */
  readonly said: string | null;
  /** A proxy (to CONNECT too), a firewall or a portal answered in place of Entra: somebody has to change that. */
  readonly isForeign: boolean;
}

/** The way to Azure, as delivery and `check --live` know it. */
export interface Ingestion {
  /**
   * Sends a JSON array of rows as one request. `[]` proves token, role, rule and stream, and nothing of it is kept.
   * Throws for nothing that Azure or the network does. `signal` ends the request: `unanswered`, reason `aborted`.
   */
  upload(stream: string, rows: string, signal?: AbortSignal): Promise<UploadResult>;
}

/** What Azure answered, in a few words without those of Azure. */
export function answerText(result: UploadResult): string {
  if (result.type === 'no_token') return 'the sign-in does not answer';
  if (result.type === 'unanswered') return `Azure does not answer (${result.message})`;
  return `Azure answers ${result.status}${result.code === null ? '' : ` (${result.code})`}`;
}

export type Answer = Extract<UploadResult, { type: 'answered' }>;

/**
 * Why a stream waits for a person: stable names, in /healthz, in the metric apono_sentinel_hold and in docs/errors.md,
 * which says what leads to each.
 */
export const holdCodes = [
  'not_azure',
  'stream_refused',
  'rows_refused',
  'role_missing',
  'rule_not_found',
  'token_rejected',
  'token_refused',
  'azure_refused',
  'stream_off',
] as const;

export type HoldCode = (typeof holdCodes)[number];

/** What an answer of Azure means for the rows of the call. For users: docs/errors.md, "Delivery: retries and holds". */
export type Outcome =
  | { readonly type: 'delivered' }
  /** Passing: the same rows again later. `retryAfterMs` is what Azure asked for. */
  | { readonly type: 'retry'; readonly retryAfterMs: number | null }
  /**
   * The call is too much: its halves. `alone`, for a row that is refused in a call of its own: it did not arrive in time
   * (`retry`), or something before Azure takes less than Azure does (`hold`); null: it can never be sent.
   */
  | { readonly type: 'split'; readonly alone: Extract<Outcome, { type: 'retry' | 'hold' }> | null }
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
      if (result.failure.isForeign) return { type: 'hold', code: 'not_azure' };
      if (result.failure.code === 'token_refused') return { type: 'hold', code: 'token_refused' };
      return { type: 'retry', retryAfterMs: null };
    case 'answered':
      return outcomeOfAnswer(result, nowMs);
  }
}

const holdsByStatus: Readonly<Record<number, HoldCode>> = {
  401: 'token_rejected',
  403: 'role_missing',
  404: 'rule_not_found',
};

function outcomeOfAnswer(answer: Answer, nowMs: number): Outcome {
  const { status, by, code, message } = answer;
  // Whatever a proxy answers to CONNECT, 204 among it, no row has reached Azure.
  if (by === 'proxy') return { type: 'hold', code: 'not_azure' };
  if (status === 204) return { type: 'delivered' };
  // A page is held even with 502 or 503: trying again keeps the rows in either case, but a proxy that blocks the way
  // answers like this for days, and only a hold tells somebody. It ends as any hold does: with the first 204, or when
  // nothing waits any more.
  if (by === 'page') return { type: 'hold', code: 'not_azure' };
  // These come without Azure's marks too, from the load balancers in front of it.
  if (isPassing(status)) return { type: 'retry', retryAfterMs: parseRetryAfter(answer.retryAfter, nowMs) };
  // Something in between has a lower limit than Azure. A smaller call may pass it.
  if (by === 'unmarked' && status === 413) return { type: 'split', alone: { type: 'hold', code: 'not_azure' } };
  // An unmarked 400 is about a proxy's rules, not about a row.
  if (by === 'unmarked' || status < 400) return { type: 'hold', code: 'not_azure' };
  // From here on it is Azure's own 4xx.
  if (status === 413) {
    return { type: 'split', alone: isSlowUplink(answer) ? { type: 'retry', retryAfterMs: null } : null };
  }
  if (status !== 400) return { type: 'hold', code: holdsByStatus[status] ?? 'azure_refused' };
  if (code === 'InvalidStream') return { type: 'hold', code: 'stream_refused' };
  return { type: 'refused', code: code ?? 'bad_request', message: message ?? 'Azure gave no reason' };
}

/** Azure answers 413 also when the body did not arrive in time: `TimeoutExpired`, "ReadyBody_ClientConnectionAbort". */
function isSlowUplink({ code, message }: Answer): boolean {
  return code !== 'ContentLengthLimitExceeded' && /TimeoutExpired|ClientConnectionAbort/i.test(`${code} ${message}`);
}
