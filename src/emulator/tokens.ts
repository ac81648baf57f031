import { randomBytes, randomUUID } from 'node:crypto';
import type { AzureState, IssuedToken } from './state.ts';

export type Service = 'ingestion' | 'resource_manager' | 'database';

/** Token audiences of the public, US government and China clouds. */
const audiences: Readonly<Record<Service, readonly string[]>> = {
  ingestion: ['https://monitor.azure.com', 'https://monitor.azure.us', 'https://monitor.azure.cn'],
  resource_manager: [
    'https://management.azure.com',
    'https://management.core.windows.net',
    'https://management.usgovcloudapi.net',
    'https://management.chinacloudapi.cn',
  ],
  database: [
    'https://ossrdbms-aad.database.windows.net',
    'https://ossrdbms-aad.database.usgovcloudapi.net',
    'https://ossrdbms-aad.database.chinacloudapi.cn',
  ],
};

/** Whether a token of this audience is for that service; without a service, whether it is for any that exists. */
export function isFor(audience: string, service?: Service): boolean {
  // Some of Microsoft's samples ask for `https://monitor.azure.com//.default`, which leaves a slash at the end.
  const bare = audience.replace(/\/+$/, '').toLowerCase();
  const known = service === undefined ? Object.values(audiences).flat() : audiences[service];
  return known.includes(bare);
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

/** What an Authorization header is worth for a service now. `token` is null when the emulator never issued it. */
export interface PresentedToken {
  readonly state: 'missing' | 'unknown' | 'expired' | 'wrong_audience' | 'valid';
  readonly token: IssuedToken | null;
}

export function presentedToken(
  { tokens, clock }: AzureState,
  authorization: string | undefined,
  service: Service,
): PresentedToken {
  const text = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (text === undefined) return { state: 'missing', token: null };
  const token = tokens.get(text);
  if (token === undefined) return { state: 'unknown', token: null };
  if (clock.now() >= token.expiresAt) return { state: 'expired', token };
  return { state: isFor(token.audience, service) ? 'valid' : 'wrong_audience', token };
}
