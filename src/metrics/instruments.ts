import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Dimension, LabelSet, MetricSpec } from './spec.ts';
import { type MetricTable, metricTable } from './table.ts';
import { createTally, type Tally } from './tally.ts';

export const METRIC_PREFIX = 'apono_sentinel_';

/** The names of a metric's labels. */
type LabelOf<S extends MetricSpec> = keyof S['labels'][number] & string;

type InstrumentOf<S extends MetricSpec> = S['type'] extends 'counter'
  ? Tally<LabelOf<S>>
  : S['type'] extends 'gauge'
    ? Gauge<LabelOf<S>>
    : Histogram<LabelOf<S>>;

/** One instrument a line of the table, under the same key. */
export type Instruments = { readonly [Key in keyof MetricTable]: InstrumentOf<MetricTable[Key]> };

export type DimensionValues = Readonly<Record<Dimension, readonly string[]>>;

/**
 * A registry of its own, not prom-client's global one, with every label set of the table at 0: a rate or an alarm about
 * something that never happened has a series to look at.
 */
export function createInstruments(values: DimensionValues): { registry: Registry; instruments: Instruments } {
  const registry = new Registry();
  const entries = Object.entries(metricTable).map(([key, spec]) => [key, createInstrument(spec, values, registry)]);
  addProcessMetrics(registry);
  return { registry, instruments: Object.fromEntries(entries) as Instruments };
}

function createInstrument(
  spec: MetricSpec,
  values: DimensionValues,
  registry: Registry,
): Tally<string> | Gauge | Histogram {
  const labelSets = spec.labels.flatMap((set) => combinations(set, values));
  const { name, help, type, buckets } = spec;
  const common = { name, help, labelNames: Object.keys(spec.labels[0] ?? {}), registers: [registry] };
  switch (type) {
    case 'counter': {
      return createTally(common, labelSets);
    }
    case 'gauge': {
      const gauge = new Gauge(common);
      for (const labels of labelSets) gauge.set(labels, 0);
      return gauge;
    }
    case 'histogram': {
      const histogram = new Histogram({ ...common, ...(buckets && { buckets: [...buckets] }) });
      for (const labels of labelSets) histogram.zero(labels);
      return histogram;
    }
  }
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

/** Of prom-client's metrics. */
const leftOut = [
  // Gauges that are named like counters; the same by type of handle are there without the suffix.
  'nodejs_active_resources_total',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  // Of two scrapes in a row the second has no delay to make them of: no number, or one of 300 years.
  'nodejs_eventloop_lag_min_seconds',
  'nodejs_eventloop_lag_mean_seconds',
  'nodejs_eventloop_lag_stddev_seconds',
];

/** CPU, memory, event loop, garbage collection: prom-client's own, under our prefix. */
function addProcessMetrics(register: Registry): void {
  collectDefaultMetrics({ register, prefix: METRIC_PREFIX });
  for (const name of leftOut) register.removeSingleMetric(METRIC_PREFIX + name);
}
