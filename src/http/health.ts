import type { Clock } from '../clock.ts';
import type { Hold as DeliveryHold } from '../delivery/observer.ts';
import type { HeartbeatStatus } from '../heartbeat/heartbeat.ts';
import type { OutboxStats, StateCount } from '../outbox/port.ts';
import type { Answer } from './answer.ts';
import type { EdgeLimits } from './limits.ts';
import { problem, problemAnswer } from './problem.ts';

/** What is told of a stream that delivery holds back until a person has fixed something. */
export type Hold = Pick<DeliveryHold, 'kind' | 'stream' | 'since' | 'reason' | 'fix'>;

/** Where health gets its facts. All but `stats` answer at once; times are milliseconds since the epoch. */
export interface HealthSources {
  stats(): Promise<OutboxStats>;
  holds(): readonly Hold[];
  lastDeliveryAt(): number | null;
  /** Null: there is no token yet. */
  tokenExpiresAt(): number | null;
  /** Where a damaged database was set aside that nobody has salvaged or removed yet; null: nowhere. */
  damagedFile(): string | null;
  /** Of the rows about the service itself; null: none are sent. */
  heartbeat(): HeartbeatStatus | null;
  started(): boolean;
  /** Set before the listener closes, so that a load balancer can turn away first. */
  draining(): boolean;
}

export interface HealthOptions {
  readonly sources: HealthSources;
  readonly version: string;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly previousSecretLastUsedAt: () => number | null;
  readonly isStopping: () => boolean;
}

export interface Health {
  livez(): Answer;
  readyz(requestId: string): Promise<Answer>;
  healthz(): Promise<Answer>;
}

const maxOldestAgeSeconds = 15 * 60;

/** `problem`: why there are none. */
type StatsOrProblem = { readonly stats: OutboxStats } | { readonly stats: null; readonly problem: string };

/** Never asks Azure: a restart of this service would not make it well. */
export function createHealth(options: HealthOptions): Health {
  const { sources, clock, version } = options;
  const startedAtMs = performance.now();
  const readStats = statsReader(options);

  return {
    livez: () => json(200, { status: 'alive' }),

    async readyz(requestId) {
      const reasons = notReady(await readStats(), options);
      if (reasons.length === 0) return json(200, { status: 'ready' });
      const refusal = problem('not_ready', { detail: reasons.join('; '), members: { reasons }, retryAfterSeconds: 5 });
      return problemAnswer(refusal, requestId);
    },

    async healthz() {
      const read = await readStats();
      const holds = sources.holds();
      const outbox = outboxFacts(read.stats, holds, clock.now());
      const reasons = notReady(read, options);
      const damagedFile = sources.damagedFile();
      const failing = [...reasons, ...notDelivering(holds, outbox.oldest_age_seconds)];
      const heartbeat = sources.heartbeat();
      const problems = [...failing, ...damaged(damagedFile), ...notBeating(heartbeat)];
      const [hold = null, ...others] = holds.map(holdFacts);
      return json(failing.length === 0 ? 200 : 503, {
        status: problems.length === 0 ? 'ok' : reasons.length === 0 ? 'degraded' : 'unavailable',
        version,
        uptime_seconds: Math.floor((performance.now() - startedAtMs) / 1000),
        outbox,
        last_delivery: isoOrNull(sources.lastDeliveryAt()),
        token_expires_at: isoOrNull(sources.tokenExpiresAt()),
        previous_secret_last_used_at: isoOrNull(options.previousSecretLastUsedAt()),
        damaged_file: damagedFile,
        ...(heartbeat !== null && { heartbeat: heartbeatFacts(heartbeat) }),
        hold,
        ...(hold !== null && others.length > 0 && { holds: [hold, ...others] }),
        problems,
      });
    },
  };
}

/** Why no webhook would be taken now; empty when one would. */
function notReady(read: StatsOrProblem, { sources, isStopping }: HealthOptions): string[] {
  const reasons: string[] = [];
  if (!sources.started()) reasons.push('the service is starting');
  if (sources.draining() || isStopping()) reasons.push('the service is stopping');
  if (read.stats === null) {
    reasons.push(read.problem);
  } else {
    const { writable, problem: why, usedBytes, maxBytes } = read.stats;
    if (!writable) reasons.push(`the outbox cannot store events${why === null ? '' : `: ${why}`}`);
    if (usedBytes >= maxBytes) reasons.push(`the outbox is full: ${usedBytes} of ${maxBytes} bytes (OUTBOX_MAX_BYTES)`);
  }
  return reasons;
}

function notDelivering(holds: readonly Hold[], oldestAgeSeconds: number | null): string[] {
  const problems = holds.map((hold) => `stream ${hold.stream} is on hold: ${hold.reason}`);
  if (oldestAgeSeconds !== null && oldestAgeSeconds > maxOldestAgeSeconds) {
    problems.push(`the oldest event has waited for ${oldestAgeSeconds} seconds`);
  }
  return problems;
}

/**
 * Listed until a person has looked, over restarts too: what had been accepted may be in there and nowhere else. Not a
 * 503: events are taken and delivered, and the alarm for it is the metric's.
 */
function damaged(file: string | null): string[] {
  if (file === null) return [];
  return [`a damaged database was set aside, and events may be in it: run \`outbox salvage ${file}\`, or remove it`];
}

/** No 503 either: it is about seeing the service from Sentinel, and holds no event back. */
function notBeating(heartbeat: HeartbeatStatus | null): string[] {
  if (heartbeat === null || heartbeat.failing === null) return [];
  return [`no heartbeat since ${isoOrNull(heartbeat.lastSentAt) ?? 'the start'}: ${heartbeat.failing.reason}`];
}

function heartbeatFacts({ stream, lastSentAt, failing }: HeartbeatStatus): Record<string, unknown> {
  return {
    stream,
    last_sent: isoOrNull(lastSentAt),
    failing: failing && { since: isoOrNull(failing.since), reason: failing.reason, fix: failing.fix },
  };
}

interface OutboxFacts {
  readonly waiting: number | null;
  readonly held: number | null;
  readonly dead: number | null;
  readonly quarantined: number | null;
  /** Of what waits or is held; 0 when nothing is. */
  readonly oldest_age_seconds: number | null;
}

function outboxFacts(stats: OutboxStats | null, holds: readonly Hold[], nowMs: number): OutboxFacts {
  if (stats === null) return { waiting: null, held: null, dead: null, quarantined: null, oldest_age_seconds: null };
  const heldKinds = new Set(holds.map((hold) => hold.kind));
  const kinds = Object.entries(stats.waiting);
  const oldest = Math.min(nowMs, ...kinds.map(([, { oldestReceivedAt }]) => oldestReceivedAt ?? nowMs));
  return {
    waiting: countOf(kinds.filter(([kind]) => !heldKinds.has(kind))),
    held: countOf(kinds.filter(([kind]) => heldKinds.has(kind))),
    dead: stats.dead.count,
    quarantined: stats.quarantined.count,
    oldest_age_seconds: Math.floor((nowMs - oldest) / 1000),
  };
}

function countOf(kinds: readonly (readonly [string, StateCount])[]): number {
  return kinds.reduce((sum, [, { count }]) => sum + count, 0);
}

/**
 * One question to the outbox at a time, however many probes come, and each waits a limited time: an engine that hangs
 * is an answer too.
 */
function statsReader({ sources, limits, clock }: HealthOptions): () => Promise<StatsOrProblem> {
  let underWay: Promise<StatsOrProblem> | null = null;
  return () => {
    if (underWay !== null) return underWay;
    const flight = new Promise<StatsOrProblem>((resolve) => {
      const cancelTimer = clock.setTimer(limits.statsTimeoutMs, () => {
        resolve({ stats: null, problem: `the outbox did not answer within ${limits.statsTimeoutMs} ms` });
      });
      const settle = (read: StatsOrProblem): void => {
        cancelTimer();
        resolve(read);
      };
      sources.stats().then(
        (stats) => settle({ stats }),
        () => settle({ stats: null, problem: 'the outbox is not available' }),
      );
    });
    underWay = flight;
    void flight.then(() => {
      underWay = null;
    });
    return flight;
  };
}

function holdFacts({ kind, stream, since, reason, fix }: Hold): Record<string, string> {
  return { kind, stream, since: new Date(since).toISOString(), reason, fix };
}

function isoOrNull(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}

function json(status: number, body: unknown): Answer {
  return { status, contentType: 'application/json', body };
}
