import type { Hold as DeliveryHold } from '../delivery/event.ts';
import type { Clock } from '../ground/clock.ts';
import type { HeartbeatStatus } from '../heartbeat/heartbeat.ts';
import type { OutboxStats, StateCount } from '../outbox/port.ts';
import { type Answer, jsonAnswer } from './answer.ts';
import type { Arrivals } from './arrivals.ts';
import {
  damageProblems,
  type HealthProblem,
  healthCodes,
  healthProblem,
  heartbeatProblems,
  holdProblem,
  refusalProblems,
  storedProblems,
} from './health-problems.ts';
import type { EdgeLimits } from './limits.ts';
import { problem, problemAnswer } from './problem.ts';

/** What is told of a stream that delivery holds back until a person has fixed something. */
export type Hold = Pick<DeliveryHold, 'kind' | 'stream' | 'since' | 'code' | 'reason' | 'fix'>;

/** Where health gets its facts. All but `stats` answer at once; times are milliseconds since the epoch. */
export interface HealthSources {
  stats(): Promise<OutboxStats>;
  holds(): readonly Hold[];
  /** By kind; null: not since the start. */
  lastDelivery(): Readonly<Record<string, number | null>>;
  /** Null: there is no token yet. */
  tokenExpiresAt(): number | null;
  /** Where a damaged database was set aside that nobody has salvaged or removed yet; null: nowhere. */
  damagedFile(): string | null;
  /** Of the rows about the service itself; null: none are sent. */
  heartbeat(): HeartbeatStatus | null;
  /** What other parts of the service have to tell; each code is in health-problems.ts. */
  problems(): readonly HealthProblem[];
  started(): boolean;
  /** Set before the listener closes, so that a load balancer can turn away first. */
  draining(): boolean;
}

export interface HealthOptions {
  readonly sources: HealthSources;
  readonly version: string;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly arrivals: Arrivals;
  readonly previousSecretLastUsedAt: () => number | null;
  readonly isStopping: () => boolean;
}

export interface Health {
  livez(): Answer;
  readyz(requestId: string): Promise<Answer>;
  /** `failDegraded`: answer 503 also when it is only degraded, for a probe that looks at nothing but the status. */
  healthz(request: { readonly failDegraded: boolean }): Promise<Answer>;
}

const maxOldestAgeSeconds = 15 * 60;

/** `problem`: why there are none. */
type StatsOrProblem = { readonly stats: OutboxStats } | { readonly stats: null; readonly problem: string };

/** Never asks Azure: a restart of this service would not make it well. */
export function createHealth(options: HealthOptions): Health {
  const { sources, clock, version, arrivals } = options;
  const startedAtMs = performance.now();
  const readStats = statsReader(options);

  return {
    livez: () => jsonAnswer(200, { status: 'alive' }),

    async readyz(requestId) {
      const reasons = notReady(await readStats(), options).map(({ message }) => message);
      if (reasons.length === 0) return jsonAnswer(200, { status: 'ready' });
      const refusal = problem('not_ready', { detail: reasons.join(' '), members: { reasons }, retryAfterSeconds: 5 });
      return problemAnswer(refusal, requestId);
    },

    async healthz({ failDegraded }) {
      const read = await readStats();
      const holds = sources.holds();
      const outbox = outboxFacts(read.stats, holds, clock.now());
      const refused = arrivals.refused();
      const damagedFile = sources.damagedFile();
      const heartbeat = sources.heartbeat();
      // A part of the service that has something to tell adds it here, or by `sources.problems`.
      const problems = [
        ...notReady(read, options),
        ...holds.map(holdProblem),
        ...lateProblems(outbox.oldest_age_seconds),
        ...(read.stats === null ? [] : storedProblems(read.stats)),
        ...refusalProblems(refused.lostByCode),
        ...(arrivals.looksEscaped()
          ? [healthProblem('text_looks_escaped', healthCodes.text_looks_escaped.meaning)]
          : []),
        ...damageProblems(damagedFile),
        ...heartbeatProblems(heartbeat),
        ...sources.problems(),
      ];
      const status = statusOf(problems);
      const lastAccepted = arrivals.lastAccepted();
      const lastDelivery = sources.lastDelivery();
      const [hold = null, ...others] = holds.map(holdFacts);
      return jsonAnswer(status === 'failing' || (status === 'degraded' && failDegraded) ? 503 : 200, {
        status,
        version,
        uptime_seconds: Math.floor((performance.now() - startedAtMs) / 1000),
        outbox,
        last_accepted: latest(lastAccepted),
        last_accepted_by_kind: isoByKind(lastAccepted),
        last_delivery: latest(lastDelivery),
        last_delivery_by_kind: isoByKind(lastDelivery),
        refused: refused.byCode,
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

function statusOf(problems: readonly HealthProblem[]): 'ok' | 'degraded' | 'failing' {
  if (problems.length === 0) return 'ok';
  return problems.some(({ code }) => healthCodes[code].status === 'failing') ? 'failing' : 'degraded';
}

/** Why no webhook would be taken now; empty when one would. */
function notReady(read: StatsOrProblem, { sources, isStopping }: HealthOptions): HealthProblem[] {
  const problems: HealthProblem[] = [];
  if (!sources.started()) problems.push(healthProblem('starting', 'The service is starting.'));
  if (sources.draining() || isStopping()) problems.push(healthProblem('stopping', 'The service is stopping.'));
  if (read.stats === null) {
    problems.push(healthProblem('outbox_not_answering', read.problem));
  } else {
    const { writable, problem: why, usedBytes, maxBytes } = read.stats;
    if (!writable) {
      const message = `The outbox cannot store events${why === null ? '' : `: ${why}`}.`;
      problems.push(healthProblem('outbox_not_writable', message));
    }
    if (usedBytes >= maxBytes) {
      const message = `The outbox is full: it uses ${usedBytes} of ${maxBytes} bytes (OUTBOX_MAX_BYTES).`;
      problems.push(healthProblem('outbox_full', message));
    }
  }
  return problems;
}

function lateProblems(oldestAgeSeconds: number | null): HealthProblem[] {
  if (oldestAgeSeconds === null || oldestAgeSeconds <= maxOldestAgeSeconds) return [];
  return [healthProblem('delivery_late', `The oldest event has waited for Azure for ${oldestAgeSeconds} seconds.`)];
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
        resolve({ stats: null, problem: `The outbox did not answer within ${limits.statsTimeoutMs} ms.` });
      });
      const settle = (read: StatsOrProblem): void => {
        cancelTimer();
        resolve(read);
      };
      sources.stats().then(
        (stats) => settle({ stats }),
        () => settle({ stats: null, problem: 'The outbox is not available.' }),
      );
    });
    underWay = flight;
    void flight.then(() => {
      underWay = null;
    });
    return flight;
  };
}

function holdFacts({ kind, stream, since, code, reason, fix }: Hold): Record<string, string> {
  return { kind, stream, since: new Date(since).toISOString(), code, reason, fix };
}

function isoByKind(times: Readonly<Record<string, number | null>>): Record<string, string | null> {
  return Object.fromEntries(Object.entries(times).map(([kind, timeMs]) => [kind, isoOrNull(timeMs)]));
}

function latest(times: Readonly<Record<string, number | null>>): string | null {
  const known = Object.values(times).filter((timeMs) => timeMs !== null);
  return isoOrNull(known.length === 0 ? null : Math.max(...known));
}

function isoOrNull(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}
