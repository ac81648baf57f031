import type { FaultAnswer } from './faults.ts';

/** Answers for fault steps, worded as Azure words them. */

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
  return azureFailure(
    429,
    'TooManyRequests',
    'The request quota of the data collection rule is exceeded.',
    after(retryAfter),
  );
}

export function unavailable(retryAfter?: number | string): FaultAnswer {
  return azureFailure(503, 'ServiceUnavailable', 'The service is temporarily unavailable.', after(retryAfter));
}

function after(retryAfter: number | string | undefined): Record<string, string> {
  return retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
}

/** A 400 that came from the server's kernel driver and not from the service: HTML, no code (azure-sdk-for-net#39542). */
export function htmlBadRequest(): FaultAnswer {
  const body = [
    '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">',
    '<HTML><HEAD><TITLE>Bad Request</TITLE>',
    '<META HTTP-EQUIV="Content-Type" Content="text/html; charset=us-ascii"></HEAD>',
    '<BODY><h2>Bad Request</h2>',
    '<hr><p>HTTP Error 400. The request is badly formed.</p>',
    '</BODY></HTML>',
  ].join('\r\n');
  const headers = { 'content-type': 'text/html; charset=us-ascii', server: 'Microsoft-HTTPAPI/2.0' };
  return { type: 'status', status: 400, headers, body };
}

/** 401 that asks for a token with more claims (continuous access evaluation). */
export function claimsChallenge(
  claims: object = { access_token: { nbf: { essential: true, value: '1' } } },
): FaultAnswer {
  const encoded = Buffer.from(JSON.stringify(claims)).toString('base64');
  return azureFailure(401, 'InvalidToken', 'Continuous access evaluation resulted in a challenge.', {
    'www-authenticate': `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="${encoded}"`,
  });
}

/** Azure stored the rows, and the connection broke before it could say so. */
export function lostAnswer(): FaultAnswer {
  return { type: 'reset', processed: true };
}

/** A refusal of Entra's: `error` is OAuth's (`invalid_client`), `number` that of the AADSTS code. */
export function entraFailure(status: number, error: string, number: number, message: string): FaultAnswer {
  const error_description = `AADSTS${number}: ${message}`;
  return { type: 'status', status, body: { error, error_description, error_codes: [number] } };
}
