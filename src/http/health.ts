import type { Delivery } from '../delivery/delivery.ts';
import type { HeartbeatStatus } from '../heartbeat/heartbeat.ts';
import type { OpenedOutbox } from '../outbox/open.ts';
import { type OutboxStats, oldestAgeMs, summary } from '../outbox/port.ts';
import { type Answer, jsonAnswer, problem } from './answer.ts';
import type { AppRoute } from './app.ts';
import type { Exchange } from './exchange.ts';
import { failingCodes, type HealthProblem, notReadyProblems, problemsOf } from './health-problems.ts';
import type { Listener } from './listener.ts';
import type { ServerOptions } from './webhook.ts';

/**
 * What the parts of the service say about themselves, to /healthz, the page and the metrics. All that is no promise is
 * answered at once; times are milliseconds since the epoch.
 */
export interface ServiceState extends Pick<Delivery, 'holds' | 'retrying'> {
  /** Null: the outbox failed, or did not answer within STATS_LIMIT_MS. Many callers make one question to it. */
  stats(): Promise<OutboxStats | null>;
  /** Of the file system of DATA_DIR; free is what this user may still take. Null as for `stats`, or it is elsewhere. */
  disk(): Promise<{ readonly freeBytes: number; readonly sizeBytes: number } | null>;
  /** Null: there is no token yet. */
  tokenExpiresAt(): number | null;
  tokenObtainedAt(): number | null;
  /** Of what signs in to Azure; null: that is not known. */
  credentialEndsAt(): number | null;
  readonly outbox: Pick<OpenedOutbox, 'damagedFile' | 'trouble' | 'folder'>;
  /** Null: no rows about the service itself are sent. */
  heartbeat(): HeartbeatStatus | null;
  /** The secrets that the last SIGHUP did not renew, and why. */
  secretProblems(): readonly { readonly name: string; readonly message: string }[];
  started(): boolean;
}

export interface HealthOptions extends Pick<ServerOptions, 'version' | 'clock' | 'kinds' | 'history'> {
  readonly sources: ServiceState;
  readonly state: () => Listener['state'];
}

/** What /healthz answers. */
export type HealthDocument = Awaited<ReturnType<ReturnType<typeof createHealth>['read']>>;

/** Never asks Azure: restarting this service would not help if Azure is down. */
export function createHealth(options: HealthOptions) {
  const startedAtMs = performance.now();
  const { sources } = options;

  async function readyz(): Promise<Answer> {
    const reasons = [...notReadyProblems(await sources.stats(), options)].map(({ message }) => message);
    if (reasons.length === 0) return jsonAnswer(200, { status: 'ready' });
    throw problem('not_ready', { detail: reasons.join(' '), members: { reasons } });
  }

  async function read() {
    const stats = await sources.stats();
    const problems = [...problemsOf(stats, options)];
    return {
      status: statusOf(problems),
      version: options.version,
      uptime_seconds: Math.floor((performance.now() - startedAtMs) / 1000),
      ...facts(stats, options),
      problems,
    };
  }

  async function healthz({ request }: Exchange): Promise<Answer> {
    const document = await read();
    // For a probe that looks at nothing but the status of the answer.
    const failDegraded = request.query['fail'] === 'degraded';
    const isFailing = document.status === 'failing' || (document.status === 'degraded' && failDegraded);
    return jsonAnswer(isFailing ? 503 : 200, document);
  }

  const routes: AppRoute[] = [
    { path: '/livez', route: 'livez', handler: () => jsonAnswer(200, { status: 'alive' }) },
    { path: '/readyz', route: 'readyz', handler: readyz },
    { path: '/healthz', route: 'healthz', handler: healthz },
  ];
  return { read, routes };
}

function statusOf(problems: readonly HealthProblem[]): 'ok' | 'degraded' | 'failing' {
  if (problems.length === 0) return 'ok';
  return problems.some(({ code }) => code in failingCodes) ? 'failing' : 'degraded';
}

function facts(stats: OutboxStats | null, { sources, kinds, history, clock }: HealthOptions) {
  const byKind = (times: ReadonlyMap<string, number>): Readonly<Record<string, string | null>> =>
    Object.fromEntries(kinds.map((kind) => [kind, latest(times, `${kind} `)]));
  const heartbeat = sources.heartbeat();
  const [hold = null, ...others] = sources
    .holds()
    .map(({ kind, stream, since, code, reason, fix }) => ({ kind, stream, since: iso(since), code, reason, fix }));
  const retrying = sources
    .retrying()
    .map(({ since, nextTryAt, ...others }) => ({ ...others, since: iso(since), next_try_at: iso(nextTryAt) }));
  const stored = stats && summary(stats, sources.holds());
  const accepted = new Map(history.lastAccepted());
  // After a kill the history has forgotten its last minute; what waits has not.
  for (const [kind, { oldestReceivedAt }] of Object.entries(stats?.waiting ?? {})) {
    if (oldestReceivedAt !== null) accepted.set(`${kind} waiting`, oldestReceivedAt);
  }
  return {
    outbox: {
      waiting: stored?.waiting.count ?? null,
      held: stored?.held.count ?? null,
      dead: stored?.dead.count ?? null,
      quarantined: stored?.quarantined.count ?? null,
      oldest_age_seconds: stored && Math.floor(oldestAgeMs(stored.undelivered, clock.now()) / 1000),
    },
    last_accepted: latest(accepted),
    last_accepted_by_kind: byKind(accepted),
    last_delivery: latest(history.lastDelivered()),
    last_delivery_by_kind: byKind(history.lastDelivered()),
    refused: history.refused('all'),
    token_expires_at: iso(sources.tokenExpiresAt()),
    previous_secret_last_used_at: iso(history.previousSecretLastUsedAt()),
    damaged_file: sources.outbox.damagedFile,
    ...(heartbeat !== null && { heartbeat: heartbeatFacts(heartbeat) }),
    hold,
    ...(others.length > 0 && { holds: [hold, ...others] }),
    ...(retrying.length > 0 && { retrying }),
  };
}

function heartbeatFacts({ stream, lastSentAt, failing }: HeartbeatStatus) {
  return {
    stream,
    last_sent: iso(lastSentAt),
    failing: failing && { since: iso(failing.since), reason: failing.reason, fix: failing.fix },
  };
}

/** The latest of the times whose key, a kind and an action, begins with `start`. */
function latest(times: ReadonlyMap<string, number>, start = ''): string | null {
  const known = [...times].flatMap(([key, timeMs]) => (key.startsWith(start) ? timeMs : []));
  return known.length === 0 ? null : iso(Math.max(...known));
}

export function iso(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}
