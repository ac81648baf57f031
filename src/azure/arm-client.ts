import {
  createPipelineFromOptions,
  createPipelineRequest,
  type HttpClient,
  type Pipeline,
  type PipelineResponse,
  redirectPolicyName,
} from '@azure/core-rest-pipeline';
import { parseExact } from '../apono/exact-json.ts';
import type { ProxyConfig } from '../config/proxy.ts';
import { parseRetryAfter, retryDelayMs } from '../delivery/backoff.ts';
import type { Clock } from '../ground/clock.ts';
import { isJsonObject, type JsonObject } from '../ground/json.ts';
import { cleanMessage, describeNetworkError, errorDetailOf } from './answer.ts';
import { type ArmContext, ArmError, errorOfAnswer, errorOfSilence, errorOfToken } from './arm-error.ts';
import { type AuthorizeOptions, authorizePolicy } from './authorize.ts';
import { createHttpClient, sdkOptions } from './http-client.ts';
import { AbortedError, pause } from './time-limit.ts';
import type { TokenCache } from './token-cache.ts';
import { TokenError } from './token-error.ts';

export interface ArmClientOptions extends ArmContext {
  /** For the scope `resourceManagerScope(cloud)`. Not closed here. */
  readonly tokens: TokenCache;
  readonly proxy: ProxyConfig | null;
  readonly clock: Clock;
  readonly random: () => number;
  /** How often one question is sent at most; 10 takes about a quarter of an hour. */
  readonly maxAttempts: number;
  /** Ends what runs and what waits. */
  readonly signal?: AbortSignal;
  readonly onRetry: (retry: Retry) => void;
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

/** `passing`: sending the question again can help. */
interface Failure {
  readonly error: ArmError;
  readonly retryAfterMs: number | null;
  readonly passing: boolean;
}

const timeLimitMs = 60_000;

/** Questions to Azure Resource Manager, asked again while that can help. */
export class ArmClient {
  readonly #options: ArmClientOptions;
  readonly #pipeline: Pipeline;
  readonly #transport: HttpClient;

  constructor(options: ArmClientOptions) {
    this.#options = options;
    this.#pipeline = createArmPipeline({ ...options, timeLimitMs }, 0);
    this.#transport = createHttpClient(67_108_864, options.proxy);
  }

  /** The answer with 200. Rejects with an ArmError for any other, a 404 among them. */
  async ask(question: Question): Promise<Answer> {
    const { clock, random, maxAttempts, signal, onRetry } = this.#options;
    for (let failures = 0; ; failures += 1) {
      if (signal?.aborted === true) throw aborted();
      const attempt = await this.#attempt(question);
      if ('json' in attempt) return attempt;
      if (!attempt.passing || failures + 1 >= maxAttempts) throw attempt.error;
      const delayMs = retryDelayMs(failures, attempt.retryAfterMs, random);
      onRetry({ reason: attempt.error.message, delayMs });
      await pause(clock, delayMs, signal);
    }
  }

  async #attempt(question: Question): Promise<Answer | Failure> {
    const context = this.#options;
    const { method, url } = question;
    const request = createPipelineRequest({ url, method, ...asItIs(url) });
    request.headers.set('Accept', 'application/json');
    if (method === 'POST') request.headers.set('Content-Length', '0');
    if (context.signal !== undefined) request.abortSignal = context.signal;
    try {
      const response = await this.#pipeline.sendRequest(this.#transport, request);
      return response.status === 200 ? this.#read(response, question) : this.#failure(response, question);
    } catch (error) {
      if (error instanceof ArmError) return failed(error, false);
      if (context.signal?.aborted === true || error instanceof AbortedError) return failed(aborted(), false);
      if (error instanceof TokenError) return failed(errorOfToken(error, context), error.code === 'token_unreachable');
      return failed(errorOfSilence(cleanMessage(describeNetworkError(error)), context), true);
    }
  }

  #failure(response: PipelineResponse, { what }: Question): Failure {
    const { status, headers, request } = response;
    const answer = { ...errorDetailOf(response), status, what, clientRequestId: request.requestId };
    const passing = status === 408 || status === 429 || status >= 500;
    const retryAfterMs = parseRetryAfter(headers.get('Retry-After') ?? null, this.#options.clock.now());
    return failed(errorOfAnswer(answer, this.#options), passing, retryAfterMs);
  }

  #read({ bodyAsText, headers }: PipelineResponse, { what }: Question): Answer {
    const json = parseObject(bodyAsText ?? '');
    if (json === null) {
      const message = `What ${new URL(this.#options.origin).host} answered is not ${what}.`;
      throw new ArmError('answer_unreadable', message, answerFix);
    }
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

function failed(error: ArmError, passing: boolean, retryAfterMs: number | null = null): Failure {
  return { error, passing, retryAfterMs };
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

/**
 * The SDK's pipeline (TLS, decompression, request id) with tokens of our cache, for Azure Resource Manager. `maxRetries`
 * is for the SDK's own policy, which waits for as long as a Retry-After says. What is sent goes through a client of
 * `createHttpClient`, which decides about the proxy.
 */
export function createArmPipeline(authorize: AuthorizeOptions, maxRetries: number): Pipeline {
  const retryOptions = { maxRetries, retryDelayInMs: 500, maxRetryDelayInMs: 2_000 };
  const pipeline = createPipelineFromOptions({ ...sdkOptions, retryOptions });
  // A redirect would take the token to another host.
  pipeline.removePolicy({ name: redirectPolicyName });
  pipeline.addPolicy(authorizePolicy(authorize), { phase: 'Sign' });
  return pipeline;
}

/** The path of a resource id, each segment encoded, so that an id cannot become another host or query. */
export function armPath(resourceId: string): string {
  const segments = resourceId.split('/').filter((segment) => segment !== '' && segment !== '.' && segment !== '..');
  return `/${segments.map(encodeURIComponent).join('/')}`;
}
