import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Dimension, type LabelSet, type MetricSpec, metricTable } from './table.ts';

export const METRIC_PREFIX = 'apono_sentinel_';

type LabelNames<S extends MetricSpec> = S extends { readonly labels: readonly (infer Set)[] }
  ? keyof Set & string
  : never;

type InstrumentOf<Name, S extends MetricSpec> = Name extends `${string}_total`
  ? Counter<LabelNames<S>>
  : S extends { readonly buckets: readonly number[] }
    ? Histogram<LabelNames<S>>
    : Gauge<LabelNames<S>>;

export type Instruments = { readonly [Key in keyof typeof metricTable]: InstrumentOf<Key, (typeof metricTable)[Key]> };

type DimensionValues = Readonly<Record<Dimension, readonly string[]>>;

/**
 * A registry of its own, not prom-client's global one. Every label set of the table starts at 0, so that a rate or an
 * alarm about something that has never happened finds a series.
 */
export function createInstruments(values: DimensionValues): { registry: Registry; instruments: Instruments } {
  const registry = new Registry();
  const entries = Object.entries(metricTable).map(([name, spec]: [string, MetricSpec]) => {
    const labelSets = (spec.labels ?? [{}]).flatMap((set) => combinations(set, values));
    return [name, createInstrument(METRIC_PREFIX + name, spec, labelSets, registry)];
  });
  // prom-client's own metrics of processor, memory, event loop and garbage collection.
  collectDefaultMetrics({ register: registry, prefix: METRIC_PREFIX });
  for (const name of unwantedProcessMetrics) registry.removeSingleMetric(METRIC_PREFIX + name);
  return { registry, instruments: Object.fromEntries(entries) as Instruments };
}

function createInstrument(
  name: string,
  { help, labels, buckets }: MetricSpec,
  labelSets: readonly Record<string, string>[],
  registry: Registry,
): Counter | Gauge | Histogram {
  const common = { name, help, labelNames: Object.keys(labels?.[0] ?? {}), registers: [registry] };
  if (buckets !== undefined) {
    const histogram = new Histogram({ ...common, buckets: [...buckets] });
    for (const set of labelSets) histogram.zero(set);
    return histogram;
  }
  const instrument = name.endsWith('_total') ? new Counter(common) : new Gauge(common);
  for (const set of labelSets) instrument.inc(set, 0);
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
