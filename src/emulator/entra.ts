import { constants, randomUUID, verify, X509Certificate } from 'node:crypto';
import { serviceOf } from './audiences.ts';
import type { Call } from './call.ts';
import type { AzureState } from './state.ts';
import { jsonReply, type Reply } from './wire.ts';

/** Entra's refusal: an OAuth error, and the AADSTS number that tells what is wrong. */
interface Refusal {
  readonly status: 400 | 401;
  readonly error: string;
  readonly number: number;
  readonly message: string;
}

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** GET /{tenant}/v2.0/.well-known/openid-configuration */
export function openid(state: AzureState, call: Call): Reply {
  const tenant = call.segments[0] ?? '';
  const refusal = refuseTenant(state, tenant);
  if (refusal !== null) return refuse(state, call, refusal);
  const base = `${call.origin}/${state.tenantId}`;
  return jsonReply(200, {
    token_endpoint: `${base}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'],
    jwks_uri: `${base}/discovery/v2.0/keys`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    response_types_supported: ['code', 'id_token', 'token'],
    scopes_supported: ['openid'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    issuer: `${base}/v2.0`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    tenant_region_scope: null,
  });
}

/** POST /{tenant}/oauth2/v2.0/token with the client credentials grant. */
export function token(state: AzureState, call: Call): Reply {
  const form = new URLSearchParams(call.body.bytes.toString('utf8'));
  const scope = form.get('scope');
  call.request.scope = scope;
  call.request.claims = form.get('claims')?.slice(0, 4096) ?? null;
  if (form.has('client_secret')) call.request.credential = 'client_secret';
  else if (form.has('client_assertion')) call.request.credential = 'client_assertion';
  const refusal =
    refuseTenant(state, call.segments[0] ?? '') ??
    refuseGrant(form) ??
    refuseClient(state, form) ??
    refuseSecret(state, form) ??
    refuseScope(scope);
  if (refusal !== null) return refuse(state, call, refusal);
  const issued = state.tokens.issue({
    audience: resourceOf(scope ?? ''),
    tenantId: state.tenantId,
    clientId: state.clientId,
    lifetimeSeconds: state.tokenLifetimeSeconds,
  });
  call.request.tokenId = issued.id;
  return jsonReply(
    200,
    {
      token_type: 'Bearer',
      expires_in: issued.expiresIn,
      ext_expires_in: issued.expiresIn,
      ...(state.refreshInSeconds === null ? {} : { refresh_in: state.refreshInSeconds }),
      access_token: issued.token,
    },
    { headers: { 'cache-control': 'no-store, no-cache', pragma: 'no-cache' } },
  );
}

function refuseTenant(state: AzureState, tenant: string): Refusal | null {
  if (tenant.toLowerCase() === state.tenantId.toLowerCase()) return null;
  const message = `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.`;
  return { status: 400, error: 'invalid_request', number: 90002, message };
}

function refuseGrant(form: URLSearchParams): Refusal | null {
  const grant = form.get('grant_type');
  if (grant === 'client_credentials') return null;
  if (grant === null) {
    const message = "The request body must contain the following parameter: 'grant_type'.";
    return { status: 400, error: 'invalid_request', number: 900144, message };
  }
  const message = `The app requested an unsupported grant type '${grant}'.`;
  return { status: 400, error: 'unsupported_grant_type', number: 70003, message };
}

function refuseClient(state: AzureState, form: URLSearchParams): Refusal | null {
  const clientId = form.get('client_id') ?? '';
  if (clientId.toLowerCase() === state.clientId.toLowerCase()) return null;
  const message = `Application with identifier '${clientId}' was not found in the directory '${state.tenantId}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.`;
  return { status: 400, error: 'unauthorized_client', number: 700016, message };
}

function refuseSecret(state: AzureState, form: URLSearchParams): Refusal | null {
  const refusal = (number: number, message: string): Refusal => ({
    status: 401,
    error: 'invalid_client',
    number,
    message,
  });
  const secret = form.get('client_secret');
  if (secret === null) {
    const assertion = form.get('client_assertion');
    if (assertion !== null && form.get('client_assertion_type') === assertionType)
      return refuseAssertion(state, assertion);
    return refusal(
      7000216,
      "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
    );
  }
  if (secret !== state.clientSecret) {
    return refusal(
      7000215,
      `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${state.clientId}'.`,
    );
  }
  if (!state.secretExpired) return null;
  return refusal(
    7000222,
    `The provided client secret keys for app '${state.clientId}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.`,
  );
}

/**
 * A certificate's assertion names the client as issuer and subject; a workload identity's is another issuer's token for
 * Entra, whose signature is not checked, since the emulator does not know the cluster.
 */
function refuseAssertion(state: AzureState, assertion: string): Refusal | null {
  const refusal = (number: number, message: string): Refusal => ({
    status: 401,
    error: 'invalid_client',
    number,
    message,
  });
  const claims = claimsOf(assertion);
  if (claims === null) return refusal(50027, 'JWT token is invalid or malformed.');
  if (typeof claims['exp'] !== 'number' || claims['exp'] * 1000 <= state.clock.now()) {
    return refusal(700024, 'Client assertion is not within its valid time range.');
  }
  const federated = [claims['aud']].flat().includes('api://AzureADTokenExchange');
  if (federated) return null;
  if (claims['iss'] === state.clientId && claims['sub'] === state.clientId) {
    if (isSignedByItsCertificate(assertion)) return null;
    const message =
      'Client assertion contains an invalid signature. [Reason - The key was not found., Thumbprint of key used by client]';
    return refusal(700027, message);
  }
  return refusal(700021, "Client assertion application identifier doesn't match 'client_id' parameter.");
}

/**
 * Entra looks the key up by the thumbprint in the header. Every certificate is registered here, so the one that the
 * assertion brings along is looked at: it must have that thumbprint, and must have signed.
 */
function isSignedByItsCertificate(jwt: string): boolean {
  const [head = '', payload = '', signature = ''] = jwt.split('.');
  try {
    const header: unknown = JSON.parse(Buffer.from(head, 'base64url').toString('utf8'));
    if (!isRecord(header)) return false;
    const [own] = [header['x5c']].flat();
    // Without a chain there is nothing to look at.
    if (typeof own !== 'string') return true;
    const certificate = new X509Certificate(Buffer.from(own, 'base64'));
    const print = Buffer.from(certificate.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url');
    if (header['x5t#S256'] !== undefined && `${header['x5t#S256']}`.replace(/=+$/, '') !== print) return false;
    const padding = `${header['alg']}`.startsWith('PS') ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
    const key = { key: certificate.publicKey, padding };
    return verify('sha256', Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, 'base64url'));
  } catch {
    return false;
  }
}

function claimsOf(jwt: string): Record<string, unknown> | null {
  const parts = jwt.split('.');
  if (parts.length !== 3 || parts.some((part) => !/^[\w-]+$/.test(part))) return null;
  try {
    const [header, claims] = parts
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')));
    return isRecord(header) && typeof header['alg'] === 'string' && isRecord(claims) ? claims : null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuseScope(scope: string | null): Refusal | null {
  if (scope === null || scope === '') {
    const message = "The request body must contain the following parameter: 'scope'.";
    return { status: 400, error: 'invalid_request', number: 900144, message };
  }
  if (!scope.endsWith('/.default')) {
    const message = `The provided value for scope ${scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).`;
    return { status: 400, error: 'invalid_scope', number: 1002012, message };
  }
  if (serviceOf(resourceOf(scope)) !== null) return null;
  const message = `The resource principal named ${resourceOf(scope)} was not found in the tenant. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.`;
  return { status: 400, error: 'invalid_resource', number: 500011, message };
}

function resourceOf(scope: string): string {
  return scope.slice(0, -'/.default'.length);
}

function refuse(state: AzureState, call: Call, { status, error, number, message }: Refusal): Reply {
  const timestamp = `${new Date(state.clock.now()).toISOString().slice(0, 19).replace('T', ' ')}Z`;
  const traceId = randomUUID();
  const correlationId = call.request.clientRequestId ?? randomUUID();
  const body = {
    error,
    error_description: `AADSTS${number}: ${message} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
    error_codes: [number],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
    error_uri: `${call.origin}/error?code=${number}`,
  };
  return jsonReply(status, body, { errorCode: `AADSTS${number}`, headers: { 'cache-control': 'no-store, no-cache' } });
}
