import type { CallHead } from './call.ts';
import { monitorAudiences } from './core.ts';
import type { PresentedToken } from './entra.ts';
import { managementAudiences } from './state.ts';

/** What a request asked for. Those from `rule` to `alert_rule` are Azure Resource Manager's. */
export type RequestKind =
  | CallHead['kind']
  | 'managed_identity'
  | 'rule'
  | 'table'
  | 'incidents'
  | 'incident'
  | 'incident_detail'
  | 'alert_rules'
  | 'alert_rule';

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
  /** The query as it came, byte for byte. */
  readonly query: string;
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
  /** Id (`uti`) of the token that was issued or presented. */
  readonly tokenId: string | null;
  /** What the bearer token was worth when the request came. `none`: this kind of request carries none. */
  readonly tokenState: PresentedToken['state'] | 'none';
  /** What the fault step was that decided the answer; null when nothing was planned for it. */
  readonly fault: string | null;
}

/** The emulator's own view of a request: the same, to be filled in. */
export type OpenRequest = { -readonly [K in keyof RecordedRequest]: RecordedRequest[K] };

/** A record of what the head of a request says. */
export function openRequest(
  index: number,
  head: CallHead,
  { url = '', at }: { url?: string; at: number },
): OpenRequest {
  const kind = kindOf(head);
  return {
    index,
    kind,
    method: head.method,
    path: `/${head.segments.join('/')}`.slice(0, 1024),
    query: url.split(/\?(.*)/s)[1] ?? '',
    at,
    endedAt: null,
    outcome: 'pending',
    status: null,
    errorCode: null,
    bodyBytes: null,
    decompressedBytes: null,
    contentEncoding: head.headers['content-encoding'] ?? null,
    clientRequestId: head.clientRequestId,
    userAgent: head.headers['user-agent'] ?? null,
    stream: kind === 'ingest' ? (head.segments[3] ?? null) : null,
    rowCount: null,
    storedRowCount: 0,
    scope: null,
    credential: null,
    claims: null,
    tokenId: null,
    tokenState: 'none',
    fault: null,
  };
}

/** What the bearer token of such a request must be for; null when it needs none. */
export function audiencesOf(kind: RequestKind): readonly string[] | null {
  if (kind === 'ingest') return monitorAudiences;
  return ['openid', 'token', 'managed_identity', 'other'].includes(kind) ? null : managementAudiences;
}

function kindOf({ kind, method, segments }: CallHead): RequestKind {
  if (kind !== 'other') return kind;
  if (method === 'GET' && segments.join('/') === 'msi/token') return 'managed_identity';
  if (segments[0] !== 'subscriptions') return 'other';
  // Resource Manager compares resource types without regard to case.
  const [, workspaces, workspace, providers, sentinel, ...rest] = segments.slice(5).join('/').toLowerCase().split('/');
  const type = `${segments[5]}/${workspaces}`.toLowerCase();
  if (type === 'microsoft.insights/datacollectionrules')
    return method === 'GET' && segments.length === 8 ? 'rule' : 'other';
  if (type !== 'microsoft.operationalinsights/workspaces' || workspace === undefined) return 'other';
  if (providers === 'tables') return method === 'GET' && segments.length === 10 ? 'table' : 'other';
  return providers === 'providers' && sentinel === 'microsoft.securityinsights'
    ? sentinelKindOf(method, rest)
    : 'other';
}

function sentinelKindOf(method: string, [type, name, part, ...more]: readonly string[]): RequestKind {
  if (more.length > 0) return 'other';
  if (type === 'incidents' && part !== undefined) {
    return ['comments', 'alerts', 'entities'].includes(part) ? 'incident_detail' : 'other';
  }
  if (method !== 'GET') return 'other';
  if (type === 'incidents') return name === undefined ? 'incidents' : 'incident';
  if (type !== 'alertrules' || part !== undefined) return 'other';
  return name === undefined ? 'alert_rules' : 'alert_rule';
}
