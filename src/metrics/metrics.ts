import type { TokenEvent } from '../azure/token-cache.ts';
import type { OnDeliveryEvent } from '../delivery/event.ts';
import type { Clock } from '../ground/clock.ts';
import type { HeartbeatOutcome } from '../heartbeat/beat.ts';
import type { Totals } from '../heartbeat/row.ts';
import type { RequestRecord } from '../http/exchange.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import { countDelivery } from './delivery.ts';
import { createInstruments, type Instruments } from './instruments.ts';
import { countRequest } from './requests.ts';
import { createScrape, type MetricsSources } from './scrape.ts';
import { readTotals } from './totals.ts';

export interface MetricsOptions {
  /** Of this service. */
  readonly version: string;
  readonly clock: Clock;
  readonly kinds: readonly Pick<WebhookKind, 'name'>[];
  /** By name of the kind; null: off. */
  readonly streams: Readonly<Record<string, string | null>>;
}

/** One commit of new events, as the outbox tells of it. */
export interface OutboxCommit {
  readonly durationMs: number;
  /** Puts that shared it, and the entries that they brought. */
  readonly puts: number;
  readonly events: number;
  readonly outcome: 'committed' | 'full' | 'failed';
}

export interface Exposition {
  readonly contentType: string;
  /** Prometheus text format. */
  readonly body: string;
}

/** Listeners for the parts of the service, and what they heard as Prometheus asks for it. None of them throws. */
export interface Metrics {
  onRequest(record: RequestRecord): void;
  onCommit(commit: OutboxCommit): void;
  onTokenEvent(event: TokenEvent): void;
  readonly onDelivery: OnDeliveryEvent;
  onHeartbeat(outcome: HeartbeatOutcome): void;
  /** What the gauges of state are read from at each scrape; before it is called they are 0. */
  watch(sources: MetricsSources): void;
  totals(): Promise<Totals>;
  /** Answers within about SCRAPE_LIMIT_MS, whatever hangs. */
  expose(): Promise<Exposition>;
}

export function createMetrics(options: MetricsOptions): Metrics {
  const { clock, version } = options;
  const streams = [...new Set(Object.values(options.streams).filter((stream) => stream !== null))];
  const { registry, instruments } = createInstruments({
    kinds: options.kinds.map(({ name }) => name),
    streams,
    version: [version],
    node_version: [process.version],
  });
  instruments.buildInfo.set({ version, node_version: process.version }, 1);
  const token = tokenMetrics(instruments, clock);
  let scrape = async () => {};
  return {
    onRequest: (record) => countRequest(instruments, clock, record),
    onCommit({ durationMs, puts, events, outcome }) {
      instruments.outboxCommitDuration.observe({ outcome }, durationMs / 1000);
      instruments.outboxCommitPuts.observe(puts);
      instruments.outboxCommitEvents.observe(events);
    },
    onTokenEvent: token.onEvent,
    onDelivery: (event) => countDelivery(instruments, clock, event),
    onHeartbeat(outcome) {
      instruments.heartbeats.inc({ outcome });
      if (outcome === 'delivered') instruments.lastHeartbeat.set(clock.now() / 1000);
    },
    watch(sources) {
      scrape = createScrape({ metrics: instruments, clock, streams, sources });
    },
    totals: () => readTotals(instruments),
    async expose() {
      await scrape();
      token.update();
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

function tokenMetrics(metrics: Instruments, clock: Clock) {
  let obtainedAt: number | null = null;
  return {
    onEvent(event: TokenEvent): void {
      const trigger = event.background ? 'background' : 'call';
      if (event.type === 'failed') {
        const result = event.error.code === 'token_refused' ? 'refused' : 'unreachable';
        metrics.tokenRefreshes.inc({ result, trigger });
        return;
      }
      metrics.tokenRefreshes.inc({ result: 'obtained', trigger });
      metrics.tokenExpiry.set(event.expiresAt / 1000);
      obtainedAt = clock.now();
    },
    update(): void {
      metrics.tokenAge.set(obtainedAt === null ? 0 : Math.max(0, clock.now() - obtainedAt) / 1000);
    },
  };
}
