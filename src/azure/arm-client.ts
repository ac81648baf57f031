import {
  createPipelineRequest,
  type HttpClient,
  type Pipeline,
  type PipelineResponse,
} from '@azure/core-rest-pipeline';
import { parseExact } from '../apono/exact-json.ts';
import type { ProxyConfig } from '../config/proxy.ts';
import { parseRetryAfter, retryDelayMs } from '../delivery/backoff.ts';
import type { Clock } from '../ground/clock.ts';
import { isJsonObject, type JsonObject } from '../ground/json.ts';
import { errorDetailOf } from './answer.ts';
import { type ArmContext, ArmError, errorOfAnswer, errorOfSilence, errorOfToken } from './arm-error.ts';
import { createArmPipeline } from './arm-pipeline.ts';
import { createHttpClient } from './http-client.ts';
import { cleanMessage, describeNetworkError } from './messages.ts';
import { pause } from './pause.ts';
import { AbortedError } from './time-limit.ts';
import type { TokenCache } from './token-cache.ts';
import { TokenError } from './token-error.ts';

export interface ArmClientOptions extends ArmContext {
  readonly tokens: TokenCache;
  /** Default: none. */
  readonly proxy?: ProxyConfig | null | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  /** Of one sending, until its answer is whole. */
  readonly timeLimitMs: number;
  /** Sendings of one question, the first one included. */
  readonly maxAttempts: number;
  /** Ends what runs and what waits. */
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((retry: Retry) => void) | undefined;
}

export interface Retry {
  /** Why, in a few words. Holds no secret. */
  readonly reason: string;
  readonly delayMs: number;
}

export interface Question {
  readonly method: 'GET' | 'POST';
  /** Absolute; it is sent as it is, byte for byte. Its origin must have been checked. */
  readonly url: string;
  /** For messages: `the incidents`. */
  readonly what: string;
}

export interface Answer {
  readonly json: JsonObject;
  /** Azure's own clock, from the header Date; that of this machine where there is none. */
  readonly answeredAtMs: number;
}

type Attempt =
  | { readonly type: 'answered'; readonly answer: Answer }
  | {
      readonly type: 'failed';
      readonly error: ArmError;
      readonly passing: boolean;
      readonly retryAfterMs: number | null;
    };

/** Questions to Azure Resource Manager, tried again while that can help. */
export class ArmClient {
  readonly #options: ArmClientOptions;
  readonly #pipeline: Pipeline;
  readonly #transport: HttpClient;

  constructor(options: ArmClientOptions) {
    this.#options = options;
    this.#pipeline = createArmPipeline({ ...options, maxRetries: 0 });
    this.#transport = createHttpClient({ maxBodyBytes: 67_108_864, proxy: options.proxy });
  }

  /** The answer with 200. Rejects with an ArmError for any other, a 404 among them. */
  async ask(question: Question): Promise<Answer> {
    const { clock, random, maxAttempts, signal, onRetry } = this.#options;
    for (let failures = 0; ; failures += 1) {
      if (signal?.aborted === true) throw aborted();
      const attempt = await this.#attempt(question);
      if (attempt.type === 'answered') return attempt.answer;
      if (!attempt.passing || failures + 1 >= maxAttempts) throw attempt.error;
      const delayMs = retryDelayMs(failures, attempt.retryAfterMs, random);
      onRetry?.({ reason: attempt.error.message, delayMs });
      await pause(clock, delayMs, signal);
    }
  }

  async #attempt(question: Question): Promise<Attempt> {
    const context = this.#options;
    const request = createPipelineRequest({ url: question.url, method: question.method, ...asItIs(question.url) });
    request.headers.set('Accept', 'application/json');
    if (question.method === 'POST') request.headers.set('Content-Length', '0');
    if (context.signal !== undefined) request.abortSignal = context.signal;
    try {
      const response = await this.#pipeline.sendRequest(this.#transport, request);
      if (response.status === 200) return { type: 'answered', answer: this.#read(response, question) };
      return this.#failure(response, question);
    } catch (error) {
      if (error instanceof ArmError) return failed(error, false);
      if (context.signal?.aborted === true || error instanceof AbortedError) return failed(aborted(), false);
      if (error instanceof TokenError) return failed(errorOfToken(error, context), error.code === 'token_unreachable');
      return failed(errorOfSilence(cleanMessage(describeNetworkError(error)), context), true);
    }
  }

  #failure(response: PipelineResponse, { what }: Question): Attempt {
    const { status, headers, request } = response;
    const answer = { ...errorDetailOf(response), status, what, clientRequestId: request.requestId };
    const passing = status === 408 || status === 429 || status >= 500;
    const retryAfterMs = parseRetryAfter(headers.get('Retry-After') ?? null, this.#options.clock.now());
    return failed(errorOfAnswer(answer, this.#options), passing, retryAfterMs);
  }

  #read({ bodyAsText, headers }: PipelineResponse, { what }: Question): Answer {
    const json = parseObject(bodyAsText ?? '');
    if (json === null)
      throw new ArmError(
        'answer_unreadable',
        `What ${new URL(this.#options.origin).host} answered is not ${what}.`,
        answerFix,
      );
    const date = Date.parse(headers.get('Date') ?? '');
    return { json, answeredAtMs: Number.isNaN(date) ? this.#options.clock.now() : date };
  }
}

const answerFix = 'Look for a proxy or a sign-in page between here and Azure, and at AZURE_RESOURCE_MANAGER_ENDPOINT.';

function parseObject(text: string): JsonObject | null {
  try {
    const value = parseExact(text);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

function failed(error: ArmError, passing: boolean, retryAfterMs: number | null = null): Attempt {
  return { type: 'failed', error, passing, retryAfterMs };
}

function aborted(): ArmError {
  return new ArmError('aborted', 'It was stopped.');
}

/**
 * Node's HTTP client takes its path from a parsed URL, which writes some characters anew (a quote becomes %27). A link of
 * Azure's is opaque: what may stand in the line of a request is sent as it came.
 */
function asItIs(url: string): { requestOverrides?: Record<string, unknown> } {
  const path = /^https:\/\/[^/?#\\]+(\/[\x21\x22\x24-\x5b\x5d-\x7e]*)$/i.exec(url)?.[1];
  return path === undefined ? {} : { requestOverrides: { path } };
}
