import type { PipelineResponse } from '@azure/core-rest-pipeline';
import { isPassing } from '../delivery/backoff.ts';
import type { TokenFailure } from '../delivery/outcome.ts';
import { CodedError } from '../ground/error.ts';
import { parseObject } from '../ground/json.ts';
import { cleanMessage, codeOrNull, describeNetworkError, textOfBody } from './answer.ts';
import { proxyOf, TunnelRefusedError } from './http-client.ts';

/** The last exchange of a credential with its endpoint, as seen on the wire. `failure`: why no answer came. */
export type TokenExchange = PipelineResponse | { readonly host: string; readonly failure: unknown };

export class TokenError extends CodedError<TokenFailure['code']> implements TokenFailure {
  override readonly name = 'TokenError';
  readonly aadsts: string | null;
  readonly said: string | null;
  readonly isForeign: boolean;

  constructor(code: TokenFailure['code'], message: string, more: Partial<TokenFailure> = {}) {
    super(code, message);
    this.aadsts = more.aadsts ?? null;
    this.said = more.said ?? null;
    this.isForeign = more.isForeign ?? false;
  }
}

/**
 * Makes a TokenError of whatever a credential threw. MSAL hides what happened (a wrong CA, a 500 and a missing host are
 * all `endpoints_resolution_error`; an answer of 500 with `{}` is `no "expiresOn" property`), therefore what came over
 * the wire decides, and its error only where nothing was sent (`exchange` is null). `secrets` must not stand in the
 * message. `managed`: the endpoint is that of a managed identity, so no proxy is between and what it answers is its own.
 */
export function tokenErrorOf(
  error: unknown,
  exchange: TokenExchange | null,
  { secrets, managed }: { readonly secrets: readonly string[]; readonly managed: boolean },
): TokenError {
  if (error instanceof TokenError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (exchange === null) {
    // Nothing was sent: the certificate or token file, or a value that the credential does not take.
    return new TokenError('token_refused', cleanMessage(text, secrets), { aadsts: aadstsIn(text) });
  }
  if ('failure' in exchange) {
    const { host, failure } = exchange;
    const message = cleanMessage(`${host}: ${describeNetworkError(failure)}`, secrets);
    return new TokenError('token_unreachable', message, { isForeign: failure instanceof TunnelRefusedError });
  }
  return (managed ? errorOfIdentity(exchange, text) : null) ?? errorOfAnswer(exchange, secrets, managed);
}

/** What a managed identity endpoint's status alone does not say; null for everything else. */
function errorOfIdentity({ status, headers, request, bodyAsText }: PipelineResponse, text: string): TokenError | null {
  const { host } = new URL(request.url);
  const body = bodyAsText ?? '';
  const said = cleanMessage(text);
  // Azure Arc proves that the caller is on the machine: it names a file, whose content the next request must bring.
  const keyFile = /Basic realm=([\w.:/\\ -]{1,255}\.key)/.exec(headers.get('WWW-Authenticate') ?? '')?.[1];
  if (status === 401 && keyFile !== undefined) {
    const message = `Azure Arc at ${host} asks for the key in ${keyFile}, which this process could not read or use`;
    return new TokenError('token_refused', message, { said });
  }
  // Docker Desktop answers for what it cannot reach, and does so with a 403.
  if (status === 403 && /unreachable (network|host)/i.test(body)) {
    return new TokenError('token_unreachable', `${host}: unreachable network or host`, { said: textOfBody(body) });
  }
  // Azure Arc gave a token of another identity than was asked for, and MSAL refused it.
  if (status === 200 && body.includes('"access_token"')) {
    return new TokenError('token_refused', `the token that ${host} gave was not taken`, { said });
  }
  return null;
}

function errorOfAnswer(response: PipelineResponse, secrets: readonly string[], managed: boolean): TokenError {
  const { status, request, bodyAsText } = response;
  const { host } = new URL(request.url);
  const body = bodyAsText ?? '';
  const proxy = proxyOf(request);
  const answer = readRefusal(body);
  const aadsts = answer === null ? null : aadstsIn(answer.text);
  const codes = answer === null ? ['without a token'] : [codeOrNull(String(answer.code ?? '')), aadsts];
  const via = proxy === null ? null : `through the proxy ${proxy}`;
  const message = [`${host} answered HTTP ${status}`, ...codes, via].filter((part) => part !== null).join(' ');
  const page = /^\s*[[{]/.test(body) ? null : textOfBody(body, secrets);
  const isEntras = answer?.isOauth === true;
  // 404 and 410 come from a managed identity endpoint that starts or is upgraded, 407 from a proxy.
  const isJudgement = status >= 400 && !isPassing(status) && ![404, 407, 410].includes(status);
  return new TokenError(isJudgement && (managed || isEntras) ? 'token_refused' : 'token_unreachable', message, {
    aadsts,
    said: answer === null ? page : cleanMessage(answer.text, secrets),
    isForeign: !managed && !isEntras && !isPassing(status),
  });
}

/**
 * What an answer without a token says, in any of the forms that Entra and the managed identity endpoints use; null for
 * anything else, such as a proxy's page:
 * `{"error":"invalid_client","error_description":"AADSTS…: … Trace ID: …"}` (Entra, the metadata service),
 * `{"error":{"code":"…","message":"…"}}` (Azure Arc, Cloud Shell) and
 * `{"statusCode":400,"message":"…"}` in either case (App Service, Container Apps).
 * `isOauth`: it has the form of Entra, which no proxy imitates.
 */
function readRefusal(body: string) {
  const value = parseObject(body);
  if (value === null) return null;
  const { error, error_description: description } = value;
  if (typeof error === 'string') {
    // Trace ID, Correlation ID and Timestamp differ each time: an operator reads past them, a log cannot be compared.
    const text = typeof description === 'string' ? description.replace(/\s*Trace ID:.*$/s, '') : '';
    return { code: error, text, isOauth: true };
  }
  const { code, Code = code, message, Message = message } = Object(error ?? value);
  return typeof Message === 'string' ? { code: Code, text: Message, isOauth: false } : null;
}

function aadstsIn(text: string): string | null {
  return /AADSTS\d+/.exec(text)?.[0] ?? null;
}
