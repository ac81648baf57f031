import type { PipelineResponse } from '@azure/core-rest-pipeline';
import { isPassing } from '../delivery/backoff.ts';
import { isJsonObject, type JsonObject, objectsOf, parseObject, textOf } from '../ground/json.ts';

/**
 * What Azure says in an answer that is no success: `{"error":{"code","message","details"}}` as its specification has it,
 * the header x-ms-error-code, or, from a gateway or proxy, the text of a page.
 */
export function errorDetailOf(response: PipelineResponse, secrets: readonly string[] = []) {
  const body = response.bodyAsText ?? '';
  const error = errorObjectOf(body);
  const code = codeOrNull(error?.['code']) ?? codeOrNull(response.headers.get('x-ms-error-code'));
  const details = objectsOf(error?.['details']).slice(0, 5);
  const said = [error, ...details].flatMap((one) => textOf(one?.['message']) ?? []).join(' ');
  const message = error === null ? textOfBody(body, secrets) : cleanMessage(said, secrets);
  return { code, message: message || null };
}

/**
 * Azure's answers carry x-ms-request-id, and its errors x-ms-error-code or a body of its form; an answer with none of
 * them is `unmarked`. A page of HTML comes from a proxy, a firewall or a portal, or from the web server in front of Azure
 * Monitor (azure-sdk-for-net#39542): nothing that it says is about rows. The exception is a page with Azure's request id
 * and a passing status, which Azure's own gateways write when what is behind them is away or has enough to do.
 */
export function answererOf({ status, headers, bodyAsText }: PipelineResponse): 'azure' | 'unmarked' | 'page' {
  const body = bodyAsText ?? '';
  const isMarked = headers.has('x-ms-request-id') || headers.has('x-ms-error-code') || errorObjectOf(body) !== null;
  const isHtml =
    /\b(html|xhtml)\b/i.test(headers.get('Content-Type') ?? '') || /^\s*<(!doctype\s+html|html)\b/i.test(body);
  if (isHtml && !(isMarked && isPassing(status))) return 'page';
  return isMarked ? 'azure' : 'unmarked';
}

export function errorObjectOf(body: string): JsonObject | null {
  const error = parseObject(body)?.['error'];
  return isJsonObject(error) && ('code' in error || 'message' in error) ? error : null;
}

/** A text of another form may be anything, a row among them. */
export function codeOrNull(value: unknown): string | null {
  return typeof value === 'string' && /^[A-Za-z0-9_.]{1,64}$/.test(value) ? value : null;
}

const maxMessageLength = 1_024;

/** Removes the given secrets and whatever follows a `Bearer`, flattens white space and cuts to 1,024 characters. */
export function cleanMessage(text: string, secrets: readonly string[] = []): string {
  const clean = secrets
    .filter((secret) => secret !== '')
    .reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
    .replace(/\bBearer\s+[\w.~+/=-]{8,}/gi, 'Bearer [redacted]')
    .replace(/\s+/g, ' ')
    .trim();
  return clean.length > maxMessageLength ? `${clean.slice(0, maxMessageLength - 1)}…` : clean;
}

/**
 * `CODE: text` of an error of Node's or the SDK's, e.g. `ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:443`. Node's own
 * AggregateError for a host with several addresses has no text, so the code alone must do.
 */
export function describeNetworkError(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return [code, error.message].filter((part) => part !== '').join(': ') || error.name;
}

/** What an answer that is not JSON says, for a person: the title of a page, or its text without the tags. */
export function textOfBody(body: string, secrets: readonly string[] = []): string | null {
  const head = body.slice(0, 20_000);
  const title = /<title[^>]*>([^<]{1,300})<\/title>/i.exec(head)?.[1];
  const page = head.replace(/<(script|style)\b[^>]*>[^<]*<\/\1>/gi, ' ').replace(/<[^>]*>/g, ' ');
  return cleanMessage(title ?? page, secrets).slice(0, 300) || null;
}

export function tunnelFix(status: number): string {
  return status === 407
    ? 'The proxy wants a sign-in: put user and password into HTTPS_PROXY (http://user:password@host:port), or name the host in NO_PROXY.'
    : 'HTTPS_PROXY names this proxy. It must open connections (CONNECT) to the host and port 443; or name the host in NO_PROXY ' +
        'if it can be reached without the proxy.';
}

/** `message` as `describeNetworkError` writes it; `variable` is the one that names the host. */
export function explainNetwork(message: string, host: string, variable: string): string {
  // As a TunnelRefusedError says it.
  const status = /answered (\d{3}) to CONNECT$/.exec(message)?.[1];
  if (status !== undefined) return tunnelFix(Number(status));
  if (/SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_UNTRUSTED|unable to (verify|get)|self[- ]signed/i.test(message)) {
    return (
      `The certificate of ${host} is not trusted here. If a proxy inspects TLS, or this is an emulator, put its CA certificate (PEM) ` +
      'into a file and start with NODE_EXTRA_CA_CERTS=<file>. Never turn the check off: the token would go to whoever answers.'
    );
  }
  if (/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/.test(message)) {
    return `The certificate of ${host} is out of date. Check the clock of this machine first, then what answers in place of Azure.`;
  }
  if (/ALTNAME_INVALID/.test(message)) {
    return `The certificate is for another name: ${variable} is wrong, or something answers in place of ${host}.`;
  }
  if (/ENOTFOUND|EAI_AGAIN|EAI_FAIL|ENODATA/.test(message)) {
    return (
      `The name ${host} does not resolve. Check the spelling of ${variable} and the DNS of this machine or container; with private link, ` +
      'its private zone must be linked to this network.'
    );
  }
  if (/EPROTO|ERR_SSL|wrong version number/i.test(message)) {
    return `${host} does not speak TLS as Azure does: look at HTTPS_PROXY, and at what answers on that port.`;
  }
  return (
    `Nothing lets a connection to ${host} through. Allow outgoing HTTPS (port 443) to it, or name your proxy in HTTPS_PROXY and what ` +
    'must not use it in NO_PROXY.'
  );
}
