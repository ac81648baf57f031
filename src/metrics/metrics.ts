import type { Counter, LabelValues } from 'prom-client';
import type { TokenEvent } from '../azure/token-cache.ts';
import type { DeliveryEvent, Hold, UploadEvent } from '../delivery/event.ts';
import { holdCodes } from '../delivery/outcome.ts';
import type { Clock } from '../ground/clock.ts';
import type { HeartbeatOutcome } from '../heartbeat/heartbeat.ts';
import type { Totals } from '../heartbeat/row.ts';
import type { RequestRecord } from '../http/exchange.ts';
import type { ServiceState } from '../http/health.ts';
import { type AcceptedEvent, type OutboxStats, oldestAgeMs, summary } from '../outbox/port.ts';
import type { StoreEvent } from '../outbox/store.ts';
import { createInstruments, type Instruments } from './instruments.ts';
import { knownMethods, uploadCodes } from './table.ts';

interface MetricsOptions {
  readonly version: string;
  readonly clock: Clock;
  /** By the name of each kind; null means that the kind is off. */
  readonly streams: Readonly<Record<string, string | null>>;
}

/** Counts what the parts of the service report, and shows it to Prometheus. None of the listeners throws. */
export function createMetrics(options: MetricsOptions) {
  const { clock, version } = options;
  const streams = [...new Set(Object.values(options.streams).filter((stream) => stream !== null))];
  const { registry, instruments } = createInstruments({ kinds: Object.keys(options.streams), streams });
  instruments.build_info.set({ version, node_version: process.version }, 1);
  let tokenObtainedAt: number | null = null;
  let known: OutboxStats | null = null;
  return {
    onRequest: (record: RequestRecord) => countRequest(instruments, clock, record),
    onAccepted: (events: readonly AcceptedEvent[]) => countAccepted(instruments, clock, events),
    onStore(event: StoreEvent) {
      if (event.type === 'trouble') instruments.outbox_troubles_total.inc({ operation: event.operation });
      if (event.type !== 'commit') return;
      const { durationMs, puts, events, outcome } = event;
      instruments.outbox_commit_duration_seconds.observe({ outcome }, durationMs / 1000);
      instruments.outbox_commit_group_puts.observe(puts);
      instruments.outbox_commit_group_events.observe(events);
    },
    onTokenEvent(event: TokenEvent) {
      const trigger = event.background ? 'background' : 'call';
      const result = event.type === 'failed' ? event.error.code.replace('token_', '') : event.type;
      instruments.token_refreshes_total.inc({ result, trigger });
      if (event.type !== 'obtained') return;
      instruments.token_expiry_timestamp_seconds.set(event.expiresAt / 1000);
      tokenObtainedAt = clock.now();
    },
    onDelivery: (event: DeliveryEvent) => countDelivery(instruments, clock, event),
    onHeartbeat(outcome: HeartbeatOutcome) {
      instruments.heartbeats_total.inc({ outcome });
      if (outcome === 'delivered') instruments.last_heartbeat_timestamp_seconds.set(clock.now() / 1000);
    },
    /** When the token in use was obtained, in milliseconds since the epoch; null: there is none yet. */
    tokenObtainedAt: () => tokenObtainedAt,
    totals: () => readTotals(instruments),
    /** Prometheus text format, with the gauges that show a state as they are now. */
    async expose(sources: ServiceState) {
      const [stats, disk] = await Promise.all([sources.stats(), sources.disk()]);
      const holds = sources.holds();
      instruments.outbox_writable.set(stats?.writable ? 1 : 0);
      instruments.credential_expiry_timestamp_seconds.set((sources.credentialEndsAt() ?? 0) / 1000);
      instruments.outbox_damaged.set(sources.outbox.damagedFile === null ? 0 : 1);
      known = stats ?? known;
      // Without an answer the last counts stand and the ages go on: the alarm must not fall silent with the outbox.
      if (known !== null) setOutbox(instruments, known, holds, clock.now());
      setHolds(instruments, streams, holds);
      instruments.disk_free_bytes.set(disk?.freeBytes ?? 0);
      instruments.disk_size_bytes.set(disk?.sizeBytes ?? 0);
      const tokenAgeMs = tokenObtainedAt === null ? 0 : Math.max(0, clock.now() - tokenObtainedAt);
      instruments.token_age_seconds.set(tokenAgeMs / 1000);
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

/** Sums what the metrics count, so that the heartbeat's row and /metrics can never disagree. */
async function readTotals(instruments: Instruments): Promise<Totals> {
  return {
    accepted: await sum(instruments.events_total, ({ outcome }) => outcome === 'accepted'),
    duplicate: await sum(instruments.events_total, ({ outcome }) => outcome === 'duplicate'),
    unauthorized: await sum(
      instruments.http_requests_total,
      ({ route, code }) => route === 'webhook' && (code === '401' || code === '429'),
    ),
    delivered: await sum(instruments.delivered_rows_total, () => true),
  };
}

async function sum<L extends string>(counter: Counter<L>, isCounted: (labels: LabelValues<L>) => boolean) {
  const { values } = await counter.get();
  return values.reduce((total, { labels, value }) => total + (isCounted(labels) ? value : 0), 0);
}

/** Counts one request; the events that it brought are counted when they are stored. */
function countRequest(metrics: Instruments, clock: Clock, record: RequestRecord): void {
  const { route, status, code, authentication } = record;
  const method = (knownMethods as readonly string[]).includes(record.method) ? record.method : 'other';
  metrics.http_requests_total.inc({ route, method, code: status === null ? 'none' : String(status) });
  metrics.http_request_duration_seconds.observe({ route }, record.durationMs / 1000);
  if (code !== null) metrics.http_problems_total.inc({ code });
  if (route !== 'webhook' || authentication === null) return;
  if (authentication !== 'current' && authentication !== 'previous') {
    // The body of a caller without the secret is not Apono's, so it is no event.
    metrics.authentications_total.inc({ result: authentication, secret: 'none' });
    return;
  }
  metrics.authentications_total.inc({ result: 'accepted', secret: authentication });
  if (authentication === 'previous') metrics.previous_secret_last_used_timestamp_seconds.set(clock.now() / 1000);
  if (record.accepted !== null) return;
  metrics.events_total.inc({ kind: 'none', action: 'none', outcome: record.quarantined ? 'quarantined' : 'rejected' });
}

function countAccepted(metrics: Instruments, clock: Clock, events: readonly AcceptedEvent[]): void {
  for (const { kind, action, rows, hasInvalidFields, duplicate } of events) {
    metrics.events_total.inc({ kind, action, outcome: duplicate ? 'duplicate' : 'accepted' });
    metrics.last_accepted_timestamp_seconds.set({ kind }, clock.now() / 1000);
    if (duplicate) continue;
    metrics.accepted_rows_total.inc({ kind }, rows);
    if (hasInvalidFields) metrics.events_with_invalid_fields_total.inc({ kind });
  }
}

/** Counts what delivery reports. Holds are a state, so each scrape reads them from delivery instead. */
function countDelivery(metrics: Instruments, clock: Clock, event: DeliveryEvent): void {
  switch (event.type) {
    case 'uploaded':
      countUpload(metrics, event);
      break;
    case 'delivered': {
      const { stream, receivedAt, rows } = event;
      const now = clock.now();
      metrics.delivered_rows_total.inc({ stream }, rows);
      // The clock may have been set back since the event was received.
      metrics.delivery_latency_seconds.observe({ stream }, Math.max(0, now - receivedAt) / 1000);
      metrics.last_delivery_timestamp_seconds.set({ stream }, now / 1000);
      break;
    }
    case 'retry_scheduled':
      metrics.delivery_retries_total.inc({ stream: event.stream });
      break;
    case 'retry_asked':
    case 'held':
    case 'still_held':
    case 'hold_ended':
      break;
    case 'buried':
      metrics.dead_rows_total.inc({ stream: event.stream, code: event.code }, event.rows);
      break;
    case 'outbox_failed':
      metrics.outbox_failures_total.inc({ operation: event.operation });
      break;
    case 'defect':
      metrics.delivery_defects_total.inc({ stream: event.stream });
      break;
    default:
      event satisfies never;
  }
}

function countUpload(metrics: Instruments, event: UploadEvent): void {
  const { stream, outcome, rows, bytes, durationMs } = event;
  metrics.uploads_total.inc({ stream, outcome, code: uploadCode(event) });
  metrics.upload_duration_seconds.observe({ stream, outcome }, durationMs / 1000);
  if (rows === 0) return;
  metrics.upload_rows.observe({ stream }, rows);
  metrics.upload_bytes.observe({ stream }, bytes);
}

/** The status where the table names it, otherwise its class; or how the call failed without a status. */
function uploadCode({ outcome, result }: UploadEvent): string {
  if (result.type === 'unanswered') return result.reason;
  if (result.type === 'no_token') return 'no_token';
  const status = String(result.status);
  const named: readonly string[] = uploadCodes[outcome];
  return named.includes(status) ? status : `${status[0]}xx`;
}

function setOutbox(metrics: Instruments, stats: OutboxStats, holds: readonly Hold[], nowMs: number): void {
  const { undelivered: _undelivered, ...states } = summary(stats, holds);
  for (const [state, count] of Object.entries(states)) {
    metrics.outbox_events.set({ state }, count.count);
    metrics.outbox_oldest_age_seconds.set({ state }, oldestAgeMs(count, nowMs) / 1000);
  }
  for (const [state, bytes] of Object.entries(stats.bytes)) metrics.outbox_bytes.set({ state }, bytes);
  metrics.outbox_used_bytes.set(stats.usedBytes);
  metrics.outbox_log_bytes.set(stats.logBytes);
  metrics.outbox_max_bytes.set(stats.maxBytes);
}

/** Sets all of them, since a hold may have ended or have another reason since the last scrape. */
function setHolds(metrics: Instruments, streams: readonly string[], holds: readonly Hold[]): void {
  for (const stream of [...streams, 'off']) {
    // Two kinds may share a stream.
    const own = holds.filter((hold) => hold.stream === stream);
    for (const reason of stream === 'off' ? ['stream_off'] : holdCodes) {
      metrics.hold.set({ stream, reason }, own.some(({ code }) => code === reason) ? 1 : 0);
    }
    const since = own.length === 0 ? 0 : Math.min(...own.map((hold) => hold.since));
    metrics.hold_since_timestamp_seconds.set({ stream }, since / 1000);
  }
}
