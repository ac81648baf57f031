import type { Row } from '../../../src/sentinel/row.ts';
import { azureError, jsonReply, type Reply } from './call.ts';
import type { RecordedRequest, RequestKind } from './requests.ts';

export type FaultTarget = Exclude<RequestKind, 'other'>;

interface AnswerBase {
  /** How long to wait, by the emulator's clock, before anything is sent. */
  readonly delayMs?: number;
  /**
   * True if Azure does what was asked (stores the rows, issues the token) and only the answer differs or is lost.
   * Otherwise nothing is done.
   */
  readonly processed?: boolean;
}

/** What to answer in place of the proper answer. */
export type FaultAnswer =
  /** The proper answer. Such a step counts requests or delays them. */
  | { readonly type: 'pass'; readonly delayMs?: number }
  /**
   * This status. A body that is neither a string nor bytes is sent as JSON; `headers` come on top of Azure's usual ones,
   * which are missing where something between answers in place of Azure (`foreign`).
   */
  | (AnswerBase & {
      readonly type: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string | string[]>>;
      readonly body?: unknown;
      readonly foreign?: boolean;
    })
  /**
   * The answer stops coming, and the connection stays open: before its `start`, after its `headers`, or after
   * `half_body`.
   */
  | (AnswerBase & { readonly type: 'hang'; readonly at?: CutPoint })
  /** The connection is cut with a TCP reset, at that point. */
  | (AnswerBase & { readonly type: 'reset'; readonly at?: CutPoint });

/** Where an answer is cut. Default `start`. */
export type CutPoint = 'start' | 'headers' | 'half_body';

/** Which requests a step is for, how many of them, and what they get. */
export interface FaultStep {
  readonly target: FaultTarget;
  readonly answer: FaultAnswer;
  /** How many requests; default 1. */
  readonly times?: number | 'forever';
  /** `ingest` only: requests to this stream, ... */
  readonly stream?: string;
  /** ... and requests one of whose rows (as sent) makes this true. */
  readonly matchesRow?: (row: Row) => boolean;
  /** Any other condition. */
  readonly matches?: (request: RecordedRequest) => boolean;
}

interface PlannedStep {
  readonly step: FaultStep;
  left: number;
}

/**
 * The steps of each target, in order. A request takes the first step that is for it; a step that has been taken as often
 * as it says is gone. A step that does not match a request is left for a later one.
 */
export class FaultPlan {
  #steps: PlannedStep[] = [];

  add(steps: readonly FaultStep[]): void {
    for (const step of steps) {
      const times = step.times ?? 1;
      if (times !== 'forever' && (!Number.isInteger(times) || times < 1)) {
        throw new RangeError(`times must be a whole number of at least 1, or 'forever', is ${times}`);
      }
      this.#steps.push({ step, left: times === 'forever' ? Number.POSITIVE_INFINITY : times });
    }
  }

  clear(target?: FaultTarget): void {
    this.#steps = target === undefined ? [] : this.#steps.filter(({ step }) => step.target !== target);
  }

  /** The steps that are not used up, including those that last forever. */
  get remaining(): readonly FaultStep[] {
    return this.#steps.map(({ step }) => step);
  }

  /** Takes the step for this request off the plan. `rows` are those of an ingest call that could be read, else empty. */
  take(request: RecordedRequest, rows: readonly Row[]): FaultStep | null {
    const index = this.#steps.findIndex(({ step }) => isFor(step, request, rows));
    const planned = this.#steps[index];
    if (planned === undefined) return null;
    planned.left -= 1;
    if (planned.left <= 0) this.#steps.splice(index, 1);
    return planned.step;
  }
}

function isFor(step: FaultStep, request: RecordedRequest, rows: readonly Row[]): boolean {
  if (step.target !== request.kind) return false;
  if (step.stream !== undefined && step.stream !== request.stream) return false;
  if (step.matchesRow !== undefined && !rows.some(step.matchesRow)) return false;
  return step.matches === undefined || step.matches(request);
}

/** For `RecordedRequest.fault`. */
export function labelOf({ answer }: FaultStep): string {
  return answer.type === 'status' ? `status ${answer.status}` : answer.type;
}

/** The answer that a step asks for; `proper` is what Azure would say, null when nothing was done. */
export function plannedReply(answer: FaultAnswer, proper: Reply | null): Reply {
  if (answer.type !== 'status') return proper ?? azureError(503, 'ServiceUnavailable', 'The service is unavailable.');
  const { status, body, headers = {} } = answer;
  if (body === undefined) return { status, headers, body: null };
  if (typeof body === 'string' || body instanceof Uint8Array) return { status, headers, body };
  return jsonReply(status, body as object, headers);
}

/** An error as Azure words it. */
export function azureFailure(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): FaultAnswer {
  return {
    type: 'status',
    status,
    headers: { 'x-ms-error-code': code, ...headers },
    body: { error: { code, message } },
  };
}

/** 429 of the per-rule quota. `retryAfter`: seconds, or an HTTP date; without it the header is missing. */
export function throttled(retryAfter?: number | string): FaultAnswer {
  const message = 'The request quota of the data collection rule is exceeded.';
  return azureFailure(429, 'TooManyRequests', message, after(retryAfter));
}

export function unavailable(retryAfter?: number | string): FaultAnswer {
  return azureFailure(503, 'ServiceUnavailable', 'The service is temporarily unavailable.', after(retryAfter));
}

function after(retryAfter: number | string | undefined): Record<string, string> {
  return retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
}
