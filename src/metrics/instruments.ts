import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Dimension, LabelSet, MetricSpec } from './spec.ts';
import { deliveryMetrics, heartbeatMetrics, serviceMetrics, tokenMetrics } from './table-delivery.ts';
import { outboxMetrics } from './table-outbox.ts';
import { webhookMetrics } from './table-webhooks.ts';

const METRIC_PREFIX = 'apono_sentinel_';

/**
 * Every metric of this service's own; docs/metrics.md states the rule for their names. The instruments, that document,
 * and the tests of alarms and dashboard are made from it.
 */
export const metricTable = {
  ...webhookMetrics,
  ...outboxMetrics,
  ...deliveryMetrics,
  ...heartbeatMetrics,
  ...tokenMetrics,
  ...serviceMetrics,
};

type LabelNames<S extends MetricSpec> = S extends { readonly labels: readonly (infer Set)[] }
  ? keyof Set & string
  : never;

type InstrumentOf<S extends MetricSpec> = S['type'] extends 'counter'
  ? Counter<LabelNames<S>>
  : S['type'] extends 'gauge'
    ? Gauge<LabelNames<S>>
    : Histogram<LabelNames<S>>;

/** One instrument for each metric of the table, under the same key. */
export type Instruments = { readonly [Key in keyof typeof metricTable]: InstrumentOf<(typeof metricTable)[Key]> };

type DimensionValues = Readonly<Record<Dimension, readonly string[]>>;

/**
 * A registry of its own, not prom-client's global one. Every label set of the table starts at 0, so that a rate or an
 * alarm about something that has never happened finds a series.
 */
export function createInstruments(values: DimensionValues): { registry: Registry; instruments: Instruments } {
  const registry = new Registry();
  const entries = Object.entries(metricTable).map(([key, spec]) => [key, createInstrument(spec, values, registry)]);
  addProcessMetrics(registry);
  return { registry, instruments: Object.fromEntries(entries) as Instruments };
}

function createInstrument(spec: MetricSpec, values: DimensionValues, registry: Registry): Counter | Gauge | Histogram {
  const { name, help, type, labels: sets = [{}], buckets } = spec;
  const labelSets = sets.flatMap((set) => combinations(set, values));
  const common = { name, help, labelNames: Object.keys(sets[0] ?? {}), registers: [registry] };
  if (type === 'histogram') {
    const histogram = new Histogram({ ...common, ...(buckets && { buckets: [...buckets] }) });
    for (const labels of labelSets) histogram.zero(labels);
    return histogram;
  }
  const instrument = type === 'counter' ? new Counter(common) : new Gauge(common);
  for (const labels of labelSets) instrument.inc(labels, 0);
  return instrument;
}

/** Every combination of the values of one label set; for a set without labels the one empty combination. */
export function combinations(set: LabelSet, values: DimensionValues): Record<string, string>[] {
  return Object.entries(set).reduce<Record<string, string>[]>(
    (all, [label, given]) => {
      const options = typeof given === 'string' ? values[given] : given;
      return all.flatMap((labels) => options.map((value) => ({ ...labels, [label]: value })));
    },
    [{}],
  );
}

const unwantedProcessMetrics = [
  // Gauges that are named like counters. The same numbers by type of handle have names without the suffix.
  'nodejs_active_resources_total',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  // The second of two scrapes in a row has measured no delay, and shows no number or one of 300 years.
  'nodejs_eventloop_lag_min_seconds',
  'nodejs_eventloop_lag_mean_seconds',
  'nodejs_eventloop_lag_stddev_seconds',
];

/** prom-client's own metrics of processor, memory, event loop and garbage collection, under our prefix. */
function addProcessMetrics(register: Registry): void {
  collectDefaultMetrics({ register, prefix: METRIC_PREFIX });
  for (const name of unwantedProcessMetrics) register.removeSingleMetric(METRIC_PREFIX + name);
}
