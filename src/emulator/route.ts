import type { IncomingMessage } from 'node:http';
import type { RequestKind } from './requests.ts';

export interface Route {
  readonly kind: RequestKind;
  /** Decoded path segments. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  /** As it came. */
  readonly rawQuery: string;
  /** The stream of an ingest call. */
  readonly stream: string | null;
}

/** Which part of Azure a request is for. A path that cannot be decoded is for none. */
export function routeOf(req: IncomingMessage): Route {
  const [path = '', query = ''] = (req.url ?? '').split(/\?(.*)/s);
  const segments = decode(path);
  const kind = segments === null ? 'other' : kindOf(req.method ?? '', segments);
  const stream = kind === 'ingest' ? (segments?.[3] ?? null) : null;
  return { kind, segments: segments ?? [path], query: new URLSearchParams(query), rawQuery: query, stream };
}

function decode(path: string): string[] | null {
  try {
    return path.replace(/^\/+/, '').split('/').map(decodeURIComponent);
  } catch {
    return null;
  }
}

function kindOf(method: string, segments: readonly string[]): RequestKind {
  const [first = '', second = '', third = '', fourth = ''] = segments;
  const length = segments.length;
  if (length === 4 && first === 'dataCollectionRules' && third === 'streams') return 'ingest';
  if (method === 'POST' && length === 4 && segments.slice(1).join('/') === 'oauth2/v2.0/token') return 'token';
  const sentinel = sentinelKindOf(method, segments);
  if (sentinel !== null) return sentinel;
  if (method !== 'GET') return 'other';
  if (length === 4 && second === 'v2.0' && third === '.well-known' && fourth === 'openid-configuration')
    return 'openid';
  if (length === 2 && first === 'msi' && second === 'token') return 'managed_identity';
  if (first !== 'subscriptions') return 'other';
  // ARM compares resource types without regard to case.
  const type = segments.slice(5).join('/').toLowerCase();
  if (length === 8 && type.startsWith('microsoft.insights/datacollectionrules/')) return 'rule';
  const isTable = /^microsoft\.operationalinsights\/workspaces\/[^/]+\/tables\/[^/]+$/.test(type);
  return length === 10 && isTable ? 'table' : 'other';
}

/** Microsoft.SecurityInsights below a workspace; null when it is none of what the emulator plays. */
function sentinelKindOf(method: string, segments: readonly string[]): RequestKind | null {
  if (segments[0] !== 'subscriptions') return null;
  const path = segments.slice(4).join('/').toLowerCase();
  const match =
    /^providers\/microsoft\.operationalinsights\/workspaces\/[^/]+\/providers\/microsoft\.securityinsights\/(.*)$/.exec(
      path,
    );
  const [type, name, part, ...more] = match?.[1]?.split('/') ?? [];
  if (more.length > 0) return null;
  if (type === 'alertrules') {
    if (method !== 'GET' || part !== undefined) return null;
    return name === undefined ? 'alert_rules' : 'alert_rule';
  }
  if (type !== 'incidents') return null;
  if (part !== undefined) return ['comments', 'alerts', 'entities'].includes(part) ? 'incident_detail' : null;
  if (method !== 'GET') return null;
  return name === undefined ? 'incidents' : 'incident';
}
