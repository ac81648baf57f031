import assert from 'node:assert/strict';
import { createInstruments, METRIC_PREFIX } from '../../src/metrics/instruments.ts';
import { type MetricSpec, metricTable } from '../../src/metrics/table.ts';

type NamedSpec = MetricSpec & { readonly name: string };

const specs: readonly NamedSpec[] = Object.entries(metricTable).map(([name, spec]) => ({
  name: METRIC_PREFIX + name,
  ...spec,
}));
/** Given by Prometheus and by its format. */
const foreignLabels = ['instance', 'job', 'le', '__name__'];

const processMetrics = new Set(
  createInstruments({ kinds: [], streams: [] })
    .registry.getMetricsAsArray()
    .map(({ name }) => name),
);

/** Fails unless each metric that the PromQL names is exposed, with labels and values that the table has. */
export function assertKnownMetrics(expression: string): void {
  const selectors = [...expression.matchAll(/\b(apono_sentinel_\w+)(?:\{([^}]*)\})?/g)];
  assert.notEqual(selectors.length, 0, `no metric in ${expression}`);
  for (const [, name = '', matchers = ''] of selectors) {
    const spec = specOf(name);
    if (spec === null) {
      const base = name.replace(/_(?:bucket|sum|count)$/, '');
      assert.ok(processMetrics.has(name) || processMetrics.has(base), `there is no metric ${name}`);
      continue;
    }
    for (const [, label = '', values = ''] of matchers.matchAll(/(\w+)(?:=~|!~|!=|=)"([^"]*)"/g)) {
      if (!foreignLabels.includes(label)) assertKnownValues(spec, label, values);
    }
  }
}

/** Null: none of the table. Of a histogram it is the series that have a name in an expression. */
function specOf(name: string): NamedSpec | null {
  const plain = specs.find((spec) => spec.name === name);
  assert.equal(plain?.buckets, undefined, `${name} is a histogram, and no series has its name`);
  if (plain !== undefined) return plain;
  const base = /^(.*)_(?:bucket|sum|count)$/.exec(name)?.[1];
  return specs.find((spec) => spec.name === base && spec.buckets !== undefined) ?? null;
}

function assertKnownValues({ name, labels = [] }: NamedSpec, label: string, values: string): void {
  const given = labels.flatMap((set) => {
    const known = set[label];
    assert.ok(known !== undefined, `${name} has no label ${label}`);
    return known;
  });
  for (const value of values.split('|')) {
    assert.ok(given.includes(value), `${name} has no ${label}="${value}"`);
  }
}
