import { METRIC_PREFIX } from '../../src/metrics/instruments.ts';
import {
  deliveryMetrics,
  heartbeatMetrics,
  type LabelSet,
  type MetricSpec,
  type MetricSpecs,
  outboxMetrics,
  serviceMetrics,
  tokenMetrics,
  webhookMetrics,
} from '../../src/metrics/table.ts';

/** By their chapter in docs/metrics.md. */
const parts: Readonly<Record<string, MetricSpecs>> = {
  Webhooks: webhookMetrics,
  Outbox: outboxMetrics,
  Delivery: deliveryMetrics,
  Heartbeat: heartbeatMetrics,
  Token: tokenMetrics,
  Service: serviceMetrics,
};

/** Of a label with more, only its name: they are codes and statuses, which docs/errors.md explains. */
const MOST_VALUES = 6;

/** What the page says once of all of them is empty. */
const dimensionText = {
  kinds: '',
  streams: '',
} as const;

/** The lists of docs/metrics.md, one a part. */
export function renderMetrics(): string {
  return Object.entries(parts)
    .map(([part, specs]) => `\n### ${part}\n\n${Object.entries(specs).map(entryOf).join('')}`)
    .join('');
}

/** In brackets what its name does not say. */
function entryOf([name, spec]: [string, MetricSpec]): string {
  const type = typeOf(name, spec) === 'histogram' ? 'histogram' : '';
  const notes = [type, spec.unit ?? '', labelsOf(spec)].filter((note) => note !== '').join('; ');
  return `- \`${METRIC_PREFIX}${name}\`${notes === '' ? '' : ` (${notes})`}: ${spec.help}\n`;
}

export function typeOf(name: string, { buckets }: MetricSpec): 'counter' | 'gauge' | 'histogram' {
  if (name.endsWith('_total')) return 'counter';
  return buckets === undefined ? 'gauge' : 'histogram';
}

/** Each label with the values that it has in any of the label sets. */
function labelsOf({ labels = [] }: MetricSpec): string {
  const names = Object.keys(labels[0] ?? {});
  return names.map((name) => `\`${name}\`${valuesOf(name, labels)}`).join('; ');
}

function valuesOf(name: string, sets: readonly LabelSet[]): string {
  const values = sets.flatMap((set) => {
    const given = set[name] ?? [];
    return typeof given === 'string' ? [dimensionText[given]] : given.map((value) => `\`${value}\``);
  });
  const all = [...new Set(values)].filter((value) => value !== '');
  return all.length === 0 || all.length > MOST_VALUES ? '' : `: ${all.join(', ')}`;
}
