import { randomBytes, randomUUID } from 'node:crypto';
import { type Call, jsonReply, type Reply } from './call.ts';
import type { AzureState, IssuedToken } from './core.ts';

/** Entra's refusal: an OAuth error, and the AADSTS number that says what is wrong. */
export interface Refusal {
  readonly status: 400 | 401;
  readonly error: string;
  readonly number: number;
  readonly message: string;
}

/** GET /{tenant}/v2.0/.well-known/openid-configuration */
export function openid(state: AzureState, call: Call): Reply {
  const refused = refuseTenant(state, call);
  if (refused !== null) return refuse(state, call, refused);
  const base = `${call.origin}/${state.tenantId}`;
  return jsonReply(200, {
    // All that MSAL looks at.
    token_endpoint: `${base}/oauth2/v2.0/token`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
    issuer: `${base}/v2.0`,
  });
}

/** POST /{tenant}/oauth2/v2.0/token with the client credentials grant and a secret. */
export function token(state: AzureState, call: Call): Reply {
  const form = formOf(call);
  const refused = refuseTenant(state, call) ?? refuseForm(state, form);
  if (refused !== null) return refuse(state, call, refused);
  // Entra says 3599 of 3600: a client that rounds must not think that the token lives longer than it does.
  const expiresIn = Math.max(1, state.tokenLifetimeSeconds - 1);
  const access_token = issueToken(state, resourceOf(form.get('scope') ?? '')).token;
  const body = { token_type: 'Bearer', expires_in: expiresIn, ext_expires_in: expiresIn, access_token };
  return jsonReply(200, body, { 'cache-control': 'no-store, no-cache', pragma: 'no-cache' });
}

export function formOf({ body }: Call): URLSearchParams {
  return new URLSearchParams(body.bytes.toString('utf8'));
}

function refuseTenant({ tenantId }: AzureState, { segments: [tenant = ''] }: Call): Refusal | null {
  if (tenant.toLowerCase() === tenantId) return null;
  const message = `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.`;
  return refusal('invalid_request', 90002, message);
}

function refuseForm(
  { tenantId, clientId, clientSecret, audiences }: AzureState,
  form: URLSearchParams,
): Refusal | null {
  const [grant, secret, scope] = [form.get('grant_type'), form.get('client_secret'), form.get('scope') ?? ''];
  if (grant === null) return missing('grant_type');
  if (grant !== 'client_credentials') {
    return refusal('unsupported_grant_type', 70003, `The app requested an unsupported grant type '${grant}'.`);
  }
  const client = form.get('client_id') ?? '';
  if (client.toLowerCase() !== clientId) {
    const message = `Application with identifier '${client}' was not found in the directory '${tenantId}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.`;
    return refusal('unauthorized_client', 700016, message);
  }
  if (secret === null) {
    const message = `'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.`;
    return invalidClient(7000216, message);
  }
  if (secret !== clientSecret) {
    const message = `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${clientId}'.`;
    return invalidClient(7000215, message);
  }
  if (scope === '') return missing('scope');
  if (!scope.endsWith('/.default')) {
    const message = `The provided value for scope ${scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).`;
    return refusal('invalid_scope', 1002012, message);
  }
  if (isOneOf(audiences, resourceOf(scope))) return null;
  const message = `The resource principal named ${resourceOf(scope)} was not found in the tenant. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.`;
  return refusal('invalid_resource', 500011, message);
}

function missing(parameter: string): Refusal {
  return refusal('invalid_request', 900144, `The request body must contain the following parameter: '${parameter}'.`);
}

function refusal(error: string, number: number, message: string): Refusal {
  return { status: 400, error, number, message };
}

export function invalidClient(number: number, message: string): Refusal {
  return { status: 401, error: 'invalid_client', number, message };
}

function resourceOf(scope: string): string {
  return scope.slice(0, -'/.default'.length);
}

export function refuse({ clock }: AzureState, call: Call, { status, error, number, message }: Refusal): Reply {
  const timestamp = `${new Date(clock.now()).toISOString().slice(0, 19).replace('T', ' ')}Z`;
  const traceId = randomUUID();
  const correlationId = call.clientRequestId ?? randomUUID();
  const body = {
    error,
    error_description: `AADSTS${number}: ${message} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
    error_codes: [number],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
    error_uri: `${call.origin}/error?code=${number}`,
  };
  return jsonReply(status, body, { 'cache-control': 'no-store, no-cache' });
}

/** Some of Microsoft's samples ask for `https://monitor.azure.com//.default`, which leaves a slash at the end. */
export function isOneOf(audiences: readonly string[], audience: string): boolean {
  return audiences.includes(audience.replace(/\/+$/, '').toLowerCase());
}

/** Issues a token that looks like Entra's JWTs, and is accepted only because it is remembered here. */
export function issueToken(state: AzureState, audience: string): IssuedToken {
  const issuedOn = Math.ceil(state.clock.now() / 1000);
  const expiresOn = issuedOn + state.tokenLifetimeSeconds;
  const claims = {
    aud: audience,
    iss: `https://sts.windows.net/${state.tenantId}/`,
    iat: issuedOn,
    nbf: issuedOn,
    exp: expiresOn,
    appid: state.clientId,
    idtyp: 'app',
    tid: state.tenantId,
    uti: randomUUID(),
    ver: '1.0',
  };
  // The signature is random: only this emulator checks the token, and no other service would accept it.
  const signature = randomBytes(64).toString('base64url');
  const token = `${encode({ typ: 'JWT', alg: 'RS256', kid: 'emulator' })}.${encode(claims)}.${signature}`;
  const issued = { token, audience, expiresAt: expiresOn * 1000 };
  state.tokens.set(token, issued);
  return issued;
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

/** What an Authorization header is worth now for a service with these audiences. `token`: null if it was never issued. */
export interface PresentedToken {
  readonly state: 'missing' | 'unknown' | 'expired' | 'wrong_audience' | 'valid';
  readonly token: IssuedToken | null;
}

export function presentedToken(
  { tokens, clock }: AzureState,
  authorization: string | undefined,
  audiences: readonly string[],
): PresentedToken {
  const text = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (text === undefined) return { state: 'missing', token: null };
  const token = tokens.get(text);
  if (token === undefined) return { state: 'unknown', token: null };
  if (clock.now() >= token.expiresAt) return { state: 'expired', token };
  return { state: isOneOf(audiences, token.audience) ? 'valid' : 'wrong_audience', token };
}
