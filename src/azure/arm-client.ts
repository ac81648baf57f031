import { createPipelineFromOptions, createPipelineRequest } from '@azure/core-rest-pipeline';
import { parseExact } from '../apono/exact-json.ts';
import type { CredentialConfig } from '../config/credential.ts';
import { retryDelayMs } from '../delivery/backoff.ts';
import { createWaiter } from '../ground/clock.ts';
import { type JsonObject, parseObject } from '../ground/json.ts';
import { cleanMessage, describeNetworkError, explainNetwork } from './answer.ts';
import { ArmError, errorOfAnswer } from './arm-error.ts';
import { authorize, createHttpClient, type HttpClientOptions, sdkOptions } from './http-client.ts';
import type { TokenCache } from './token-cache.ts';
import { TokenError } from './token-error.ts';
import { explainTokenFailure, inFull } from './token-fixes.ts';

export interface ArmAccess extends Pick<HttpClientOptions, 'proxy' | 'clock'> {
  /** https origin: that of the cloud, or AZURE_RESOURCE_MANAGER_ENDPOINT. */
  readonly origin: string;
  /** For the scope `resourceManagerScope(cloud)`. Not closed here. */
  readonly tokens: TokenCache;
  readonly credential: CredentialConfig;
}

export interface ArmClientOptions extends ArmAccess {
  /** The workspace whose incidents are asked for; null: something else is asked for. */
  readonly workspaceId: string | null;
  /** How long one try may take; 60 s by default. */
  readonly limitMs?: number;
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

interface Question {
  readonly method?: 'GET' | 'POST';
  /** Absolute; it is sent as it is, byte for byte. Its origin must have been checked. */
  readonly url: string;
  /** For messages: `the incidents`. */
  readonly what: string;
}

/** Null: the answer is not what was asked for. `answeredAtMs` is Azure's own clock, or that of this machine without it. */
type Read<T> = (json: JsonObject, answeredAtMs: number) => T | null;

/**
 * Makes the function that asks Azure Resource Manager, again while that can help. It resolves with what `read` makes of
 * the answer with 200, and rejects with an ArmError for any other, a 404 among them.
 */
export function createArmClient(options: ArmClientOptions) {
  const { origin, clock, random, maxAttempts, signal, onRetry } = options;
  const { host } = new URL(origin);
  const send = createSender(options);
  const waiter = createWaiter(clock, signal);

  async function attempt<T>(question: Question, read: Read<T>): Promise<T> {
    const response = await send(question).catch(rethrow);
    if (response.status !== 200) throw errorOfAnswer(response, question.what, options);
    const json = parseObject(response.bodyAsText ?? '', parseExact);
    const date = Date.parse(response.headers.get('Date') ?? '');
    const value = json && read(json, Number.isNaN(date) ? clock.now() : date);
    if (value !== null) return value;
    const fix = 'Look for a proxy or a sign-in page between here and Azure, and at AZURE_RESOURCE_MANAGER_ENDPOINT.';
    throw new ArmError('answer_unreadable', `What ${host} answered is not ${question.what}.`, fix);
  }

  function rethrow(error: unknown): never {
    if (signal?.aborted === true) throw new ArmError('aborted', 'It was stopped.');
    if (error instanceof TokenError) {
      const { message, fix } = inFull(explainTokenFailure(error, options.credential));
      throw new ArmError(error.code, message, fix);
    }
    const message = cleanMessage(describeNetworkError(error));
    const fix = explainNetwork(message, host, 'AZURE_RESOURCE_MANAGER_ENDPOINT or AZURE_CLOUD');
    throw new ArmError('azure_unavailable', `No answer from ${host}: ${message}`, fix);
  }

  return async <T>(question: Question, read: Read<T>): Promise<T> => {
    for (let failures = 0; ; failures += 1) {
      try {
        return await attempt(question, read);
      } catch (error) {
        if (!(error instanceof ArmError && error.isPassing) || failures + 1 >= maxAttempts) throw error;
        const delayMs = retryDelayMs(failures, error.retryAfterMs, random);
        onRetry({ reason: error.message, delayMs });
        await waiter.until(delayMs);
      }
    }
  };
}

/** Sends one question through the SDK's pipeline (TLS, decompression, request id) with tokens of our cache. */
function createSender({ proxy, clock, tokens, signal, limitMs = 60_000 }: ArmClientOptions) {
  const pipeline = createPipelineFromOptions(sdkOptions);
  authorize(pipeline, tokens);
  const transport = createHttpClient({ proxy, clock, limitMs, maxBodyBytes: 67_108_864 });
  return ({ method = 'GET', url }: Question) => {
    const request = createPipelineRequest({ url, method, ...(signal && { abortSignal: signal }) });
    request.headers.set('Accept', 'application/json');
    if (method === 'POST') request.headers.set('Content-Length', '0');
    // Node's HTTP client takes its path from a parsed URL, which writes some characters anew (a quote becomes %27). A link
    // of Azure's is opaque: what may stand in the line of a request is sent as it came.
    const path = /^https:\/\/[^/?#\\]+(\/[\x21\x22\x24-\x5b\x5d-\x7e]*)$/i.exec(url)?.[1];
    if (path !== undefined) request.requestOverrides = { path };
    return pipeline.sendRequest(transport, request);
  };
}

/** The path of a resource id, each segment encoded, so that an id cannot become another host or query. */
export function armPath(resourceId: string): string {
  const segments = resourceId.split('/').filter((segment) => segment !== '' && segment !== '.' && segment !== '..');
  return `/${segments.map(encodeURIComponent).join('/')}`;
}
