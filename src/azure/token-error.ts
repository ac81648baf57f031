import { cleanMessage } from './messages.ts';

/** The last exchange of a credential with its endpoint, as seen on the wire. */
export type TokenExchange =
  | { readonly type: 'answered'; readonly host: string; readonly status: number; readonly body: string }
  | { readonly type: 'unanswered'; readonly host: string; readonly message: string };

/**
 * No token could be had. `token_refused`: the credential was judged and rejected (by Entra, by the managed identity
 * endpoint, or because its own file cannot be read), so that a person must change something. `token_unreachable`:
 * nobody judged it, trying again can help.
 *
 * The message holds hosts, statuses and codes alone, so that it may be logged; what Entra said is in `said`.
 */
export class TokenError extends Error {
  override readonly name = 'TokenError';
  readonly code: 'token_refused' | 'token_unreachable';
  /** `AADSTS7000222` and the like, where the answer names one. */
  readonly aadsts: string | null;
  /** Foreign text for a person, on the admin port or in a terminal. It may quote anything, but no secret of ours. */
  readonly said: string | null;

  constructor(code: TokenError['code'], message: string, aadsts: string | null = null, said: string | null = null) {
    super(message);
    this.code = code;
    this.aadsts = aadsts;
    this.said = said;
  }
}

/** For a terminal: the message, with what Entra said. */
export function inFull({ message, said }: TokenError): string {
  return said === null || said === '' ? message : `${message}: ${said}`;
}

/**
 * Makes a TokenError of whatever a credential threw. MSAL hides what happened (a wrong CA, a 500 and a missing host are
 * all `endpoints_resolution_error`; an answer of 500 with `{}` is `no "expiresOn" property`), therefore what came over
 * the wire decides, and its error only where nothing was sent.
 */
export function tokenErrorOf(error: unknown, exchange: TokenExchange | null, secrets: readonly string[]): TokenError {
  if (error instanceof TokenError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (exchange === null) {
    // Nothing was sent: the certificate or token file, or a value that the credential does not take.
    return new TokenError('token_refused', cleanMessage(text, secrets), aadstsIn(text));
  }
  if (exchange.type === 'unanswered') {
    return new TokenError('token_unreachable', cleanMessage(`${exchange.host}: ${exchange.message}`, secrets));
  }
  return errorOfAnswer(exchange, secrets);
}

/** For credentials that are not ours: only Entra's own number makes it a refusal. */
export function tokenErrorOfMessage(error: unknown): TokenError {
  const text = error instanceof Error ? error.message : String(error);
  const aadsts = aadstsIn(text);
  const code = aadsts === null ? 'token_unreachable' : 'token_refused';
  return new TokenError(code, aadsts ?? 'the credential failed', aadsts, cleanMessage(text));
}

function errorOfAnswer(
  { host, status, body }: Extract<TokenExchange, { type: 'answered' }>,
  secrets: readonly string[],
): TokenError {
  const answer = readEntraError(body);
  const aadsts = answer === null ? null : aadstsIn(answer.description);
  const codes = answer === null ? '' : [answer.error, aadsts].filter((code) => code !== null && isCode(code)).join(' ');
  const message = `${host} answered HTTP ${status}${answer === null ? ' without a token' : ` ${codes}`.trimEnd()}`;
  const code = answer !== null && isJudgement(status) ? 'token_refused' : 'token_unreachable';
  return new TokenError(code, message, aadsts, answer === null ? null : cleanMessage(answer.description, secrets));
}

/** Anything else may be a sentence, and is not logged. */
function isCode(text: string): boolean {
  return /^[A-Za-z0-9_.]{1,64}$/.test(text);
}

/** 404 and 410 come from a managed identity endpoint that is starting; 408, 429 and 5xx are passing by their nature. */
function isJudgement(status: number): boolean {
  return status >= 400 && status < 500 && ![404, 408, 410, 429].includes(status);
}

/**
 * Entra's `{"error":"invalid_client","error_description":"AADSTS…: … Trace ID: …"}` (IMDS has the same shape), or App
 * Service's `{"statusCode":400,"message":"No User Assigned identity …"}`; null for anything else, such as a proxy's page.
 */
function readEntraError(body: string): { error: string; description: string } | null {
  let value: Readonly<Record<string, unknown>>;
  try {
    value = Object(JSON.parse(body));
  } catch {
    return null;
  }
  const { error, error_description: description, statusCode, message } = value;
  if (typeof error === 'string') {
    // Trace ID, Correlation ID and Timestamp differ each time: an operator reads past them, a log cannot be compared.
    return { error, description: typeof description === 'string' ? description.replace(/\s*Trace ID:.*$/s, '') : '' };
  }
  // Its status stands in the answer already.
  if (typeof statusCode === 'number' && typeof message === 'string') return { error: '', description: message };
  return null;
}

function aadstsIn(text: string): string | null {
  return /AADSTS\d+/.exec(text)?.[0] ?? null;
}
