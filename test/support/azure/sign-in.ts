import { constants, verify, X509Certificate } from 'node:crypto';
import { type Call, jsonReply, type Reply } from './call.ts';
import { token as entraToken, formOf, invalidClient, isOneOf, issueToken, type Refusal, refuse } from './entra.ts';
import type { FakeAzure } from './state.ts';

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Entra's token endpoint with what entra.ts leaves out: expired secrets, assertions and `refresh_in`. */
export function token(state: FakeAzure, call: Call): Reply {
  const form = formOf(call);
  const assertion = form.get('client_assertion');
  const isAsserted = assertion !== null && form.get('client_assertion_type') === assertionType;
  if (isAsserted) form.set('client_secret', state.clientSecret);
  const body = Buffer.from(form.toString());
  const reply = entraToken(state, { ...call, body: { bytes: body, size: body.length } });
  if (reply.status !== 200) return reply;
  const refusal = isAsserted ? refuseAssertion(state, assertion) : refuseExpired(state);
  if (refusal !== null) return refuse(state, call, refusal);
  if (state.refreshInSeconds === null) return reply;
  const answer: object = JSON.parse(String(reply.body));
  return jsonReply(200, { ...answer, refresh_in: state.refreshInSeconds }, reply.headers);
}

function refuseExpired({ secretExpired, clientId }: FakeAzure): Refusal | null {
  if (!secretExpired) return null;
  return invalidClient(
    7000222,
    `The provided client secret keys for app '${clientId}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.`,
  );
}

/**
 * A certificate's assertion names the client as issuer and subject. A workload identity's is a token of another issuer
 * for Entra; its signature is not checked, since the emulator does not know the cluster.
 */
function refuseAssertion(state: FakeAzure, assertion: string): Refusal | null {
  const claims = claimsOf(assertion);
  if (claims === null) return invalidClient(50027, 'JWT token is invalid or malformed.');
  if (typeof claims['exp'] !== 'number' || claims['exp'] * 1000 <= state.clock.now()) {
    return invalidClient(700024, 'Client assertion is not within its valid time range.');
  }
  const federated = [claims['aud']].flat().includes('api://AzureADTokenExchange');
  if (federated) return null;
  if (claims['iss'] !== state.clientId || claims['sub'] !== state.clientId) {
    return invalidClient(700021, "Client assertion application identifier doesn't match 'client_id' parameter.");
  }
  if (isSignedByItsCertificate(assertion)) return null;
  return invalidClient(
    700027,
    'Client assertion contains an invalid signature. [Reason - The key was not found., Thumbprint of key used by client]',
  );
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

/** GET /msi/token: the managed identity endpoint of App Service and Container Apps, api-version 2019-08-01. */
export function managedIdentity(state: FakeAzure, { query, headers }: Call): Reply {
  const resource = query.get('resource');
  const clientId = query.get('client_id');
  const refused = (status: number, message: string): Reply => jsonReply(status, { statusCode: status, message });
  if (headers['x-identity-header'] !== state.identityHeader) return refused(401, 'The X-IDENTITY-HEADER is wrong.');
  if (query.get('api-version') !== '2019-08-01') return refused(400, 'The api-version must be 2019-08-01.');
  if (resource === null || !isOneOf(state.audiences, resource))
    return refused(400, `No resource principal named ${resource}.`);
  if (clientId !== null && clientId !== state.clientId) return refused(400, `No User Assigned identity ${clientId}.`);
  const issued = issueToken(state, resource);
  return jsonReply(200, {
    access_token: issued.token,
    expires_on: String(issued.expiresAt / 1000),
    resource,
    token_type: 'Bearer',
    client_id: state.clientId,
  });
}
