import type { Counter, LabelValues } from 'prom-client';
import type { TokenEvent } from '../azure/token-cache.ts';
import type { OnDeliveryEvent } from '../delivery/event.ts';
import type { Clock } from '../ground/clock.ts';
import type { HeartbeatOutcome } from '../heartbeat/beat.ts';
import type { Totals } from '../heartbeat/row.ts';
import type { RequestRecord } from '../http/exchange.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import type { StoreEvent } from '../outbox/store.ts';
import { countDelivery, countRequest, countToken } from './count.ts';
import { createInstruments, type Instruments } from './instruments.ts';
import { createScrape, type MetricsSources } from './scrape.ts';

interface MetricsOptions {
  readonly version: string;
  readonly clock: Clock;
  readonly kinds: readonly Pick<WebhookKind, 'name'>[];
  /** By the name of the kind; null means that the kind is off. */
  readonly streams: Readonly<Record<string, string | null>>;
}

export interface Exposition {
  readonly contentType: string;
  /** Prometheus text format. */
  readonly body: string;
}

/** Counts what the parts of the service report, and shows it to Prometheus. None of the listeners throws. */
export interface Metrics {
  onRequest(record: RequestRecord): void;
  onStore(event: StoreEvent): void;
  onTokenEvent(event: TokenEvent): void;
  readonly onDelivery: OnDeliveryEvent;
  onHeartbeat(outcome: HeartbeatOutcome): void;
  /** Names what each scrape reads the gauges of state from; until then they are 0. */
  watch(sources: MetricsSources): void;
  totals(): Promise<Totals>;
  /** Answers within about SCRAPE_LIMIT_MS, even if the outbox or the disk hangs. */
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
  let tokenObtainedAt: number | null = null;
  let scrape = async () => {};
  return {
    onRequest: (record) => countRequest(instruments, clock, record),
    onStore(event) {
      if (event.type === 'trouble') instruments.outboxTroubles.inc({ operation: event.operation });
      if (event.type !== 'commit') return;
      const { durationMs, puts, events, outcome } = event;
      instruments.outboxCommitDuration.observe({ outcome }, durationMs / 1000);
      instruments.outboxCommitPuts.observe(puts);
      instruments.outboxCommitEvents.observe(events);
    },
    onTokenEvent(event) {
      countToken(instruments, event);
      if (event.type === 'obtained') tokenObtainedAt = clock.now();
    },
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
      const tokenAgeMs = tokenObtainedAt === null ? 0 : Math.max(0, clock.now() - tokenObtainedAt);
      instruments.tokenAge.set(tokenAgeMs / 1000);
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

/** Sums what the metrics count, so that the heartbeat's row and /metrics can never disagree. */
async function readTotals({ events, httpRequests, deliveredRows }: Instruments): Promise<Totals> {
  return {
    accepted: await sum(events, ({ outcome }) => outcome === 'accepted'),
    duplicate: await sum(events, ({ outcome }) => outcome === 'duplicate'),
    unauthorized: await sum(
      httpRequests,
      ({ route, code }) => route === 'webhook' && (code === '401' || code === '429'),
    ),
    delivered: await sum(deliveredRows, () => true),
  };
}

async function sum<L extends string>(counter: Counter<L>, isCounted: (labels: LabelValues<L>) => boolean) {
  const { values } = await counter.get();
  return values.reduce((total, { labels, value }) => total + (isCounted(labels) ? value : 0), 0);
}
