import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../ground/clock.ts';
import { type Service, serviceOf } from './audiences.ts';
import type { TokenState } from './requests.ts';

/** A client that asks for tokens without end must not fill the memory; the oldest are forgotten (and then unknown). */
const maxRemembered = 20_000;

interface IssuedToken {
  readonly id: string;
  readonly audience: string;
  /** Milliseconds since the epoch; from then on it is expired. */
  readonly expiresAt: number;
  revoked: boolean;
}

export interface NewToken {
  readonly token: string;
  readonly id: string;
  /** Seconds. */
  readonly expiresIn: number;
  /** Seconds since the epoch. */
  readonly expiresOn: number;
}

export interface PresentedToken {
  readonly state: TokenState;
  readonly id: string | null;
  readonly audience: string | null;
  readonly expiresAt: number | null;
}

const nothing = { id: null, audience: null, expiresAt: null };

/** The access tokens that were issued: shaped like Entra's JWTs, and good only because they are remembered here. */
export class TokenStore {
  readonly #clock: Clock;
  readonly #issued = new Map<string, IssuedToken>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  issue(claims: {
    readonly audience: string;
    readonly tenantId: string;
    readonly clientId: string;
    readonly lifetimeSeconds: number;
  }): NewToken {
    const issuedOn = Math.ceil(this.#clock.now() / 1000);
    const expiresOn = issuedOn + claims.lifetimeSeconds;
    const id = randomUUID();
    const header = { typ: 'JWT', alg: 'RS256', kid: 'emulator' };
    const payload = {
      aud: claims.audience,
      iss: `https://sts.windows.net/${claims.tenantId}/`,
      iat: issuedOn,
      nbf: issuedOn,
      exp: expiresOn,
      appid: claims.clientId,
      idtyp: 'app',
      tid: claims.tenantId,
      uti: id,
      ver: '1.0',
    };
    // The signature is random: nobody but this store checks it, and it cannot be forged for any other service.
    const token = `${encode(header)}.${encode(payload)}.${randomBytes(64).toString('base64url')}`;
    this.#issued.set(token, { id, audience: claims.audience, expiresAt: expiresOn * 1000, revoked: false });
    for (const oldest of this.#issued.keys()) {
      if (this.#issued.size <= maxRemembered) break;
      this.#issued.delete(oldest);
    }
    // Entra says 3599 of 3600: a client that rounds must not think that it lives longer than it does.
    return { token, id, expiresIn: Math.max(1, claims.lifetimeSeconds - 1), expiresOn };
  }

  revokeAll(): void {
    for (const token of this.#issued.values()) token.revoked = true;
  }

  /** What an Authorization header is worth for a service now. */
  check(authorization: string | undefined, service: Service): PresentedToken {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) return { state: 'missing', ...nothing };
    const issued = this.#issued.get(token);
    if (issued === undefined) return { state: 'unknown', ...nothing };
    const { id, audience, expiresAt } = issued;
    return { state: this.#stateOf(issued, service), id, audience, expiresAt };
  }

  #stateOf(token: IssuedToken, service: Service): TokenState {
    if (token.revoked) return 'revoked';
    if (this.#clock.now() >= token.expiresAt) return 'expired';
    return serviceOf(token.audience) === service ? 'valid' : 'wrong_audience';
  }
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
