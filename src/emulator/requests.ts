/** What a request asked for. Those from `rule` to `alert_rule` are Azure Resource Manager's. */
export type RequestKind =
  | 'openid'
  | 'token'
  | 'managed_identity'
  | 'ingest'
  | 'rule'
  | 'table'
  | 'incidents'
  | 'incident'
  | 'incident_detail'
  | 'alert_rules'
  | 'alert_rule'
  | 'other';

const withoutToken: readonly RequestKind[] = ['openid', 'token', 'managed_identity', 'other'];

/** Whether a request of this kind must bring a bearer token. */
export function carriesToken(kind: RequestKind): boolean {
  return !withoutToken.includes(kind);
}

/** What the bearer token of a request was worth when it came. `none`: this kind of request carries none. */
export type TokenState = 'none' | 'missing' | 'unknown' | 'revoked' | 'expired' | 'wrong_audience' | 'valid';

/**
 * One request as the emulator saw it; no body, secret or token is kept. It is listed as soon as its head is there and
 * filled in as it goes on: while `outcome` is `pending`, what is not known yet is null.
 */
export interface RecordedRequest {
  /** 0 for the first request of the emulator's life, and so on. */
  readonly index: number;
  readonly kind: RequestKind;
  readonly method: string;
  /** Decoded path, without the query. */
  readonly path: string;
  /** `incidents` only: the query as it came, byte for byte. */
  readonly query: string | null;
  /** When its head came and when its answer was handed over, milliseconds since the epoch by the emulator's clock. */
  readonly at: number;
  readonly endedAt: number | null;
  /**
   * `answered`: a whole answer was sent; `hung`: the emulator never answers this one (or not to its end); `reset`: it cut
   * the connection; `aborted`: the client did.
   */
  readonly outcome: 'pending' | 'answered' | 'hung' | 'reset' | 'aborted';
  /** Status that was sent, also when only a part of the answer was. */
  readonly status: number | null;
  /** `error.code` of the answer, or Entra's `AADSTS…`. */
  readonly errorCode: string | null;
  /** Body as it came, and decompressed. */
  readonly bodyBytes: number | null;
  readonly decompressedBytes: number | null;
  readonly contentEncoding: string | null;
  /** x-ms-client-request-id, or Entra's client-request-id. */
  readonly clientRequestId: string | null;
  readonly userAgent: string | null;
  /** `ingest`: the stream, the rows in the call, and how many of them were stored. */
  readonly stream: string | null;
  readonly rowCount: number | null;
  readonly storedRowCount: number;
  /** `token` and `managed_identity`: scope or resource, how the client proved itself, and the claims it asked for. */
  readonly scope: string | null;
  readonly credential: 'client_secret' | 'client_assertion' | 'managed_identity' | null;
  readonly claims: string | null;
  /** Id (`uti`) of the token that was issued or presented; null when none was, or it is not one of ours. */
  readonly tokenId: string | null;
  readonly tokenState: TokenState;
  /** Label of the fault step that decided the answer; null when nothing was planned for it. */
  readonly fault: string | null;
}

/** The emulator's own view of a request: the same, to be filled in. */
export type OpenRequest = { -readonly [K in keyof RecordedRequest]: RecordedRequest[K] };

/** The last `capacity` requests, oldest first. */
export class RequestLog {
  readonly #capacity: number;
  #requests: OpenRequest[] = [];
  #count = 0;

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new RangeError(`capacity must be at least 1, is ${capacity}`);
    this.#capacity = capacity;
  }

  get requests(): readonly RecordedRequest[] {
    return this.#requests;
  }

  /** How many requests came in all, those that were forgotten too. */
  get count(): number {
    return this.#count;
  }

  open(head: Pick<RecordedRequest, 'kind' | 'method' | 'path' | 'at'>): OpenRequest {
    const request: OpenRequest = {
      index: this.#count,
      ...head,
      endedAt: null,
      outcome: 'pending',
      status: null,
      errorCode: null,
      bodyBytes: null,
      decompressedBytes: null,
      contentEncoding: null,
      clientRequestId: null,
      userAgent: null,
      stream: null,
      rowCount: null,
      storedRowCount: 0,
      query: null,
      scope: null,
      credential: null,
      claims: null,
      tokenId: null,
      tokenState: 'none',
      fault: null,
    };
    this.#count += 1;
    this.#requests.push(request);
    // Cut in blocks: shifting one by one would copy the whole list at each request.
    if (this.#requests.length > this.#capacity * 1.1) this.#requests = this.#requests.slice(-this.#capacity);
    return request;
  }
}
