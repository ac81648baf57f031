import { type LabelSet, METRIC_PREFIX, type MetricSpec, type MetricSpecs } from '../../src/metrics/instruments.ts';
import { deliveryMetrics, heartbeatMetrics, serviceMetrics, tokenMetrics } from '../../src/metrics/table-delivery.ts';
import { outboxMetrics } from '../../src/metrics/table-outbox.ts';
import { webhookMetrics } from '../../src/metrics/table-webhooks.ts';

/** By their chapter in docs/metrics.md. */
const parts: Readonly<Record<string, MetricSpecs>> = {
  Webhooks: webhookMetrics,
  Outbox: outboxMetrics,
  Delivery: deliveryMetrics,
  Heartbeat: heartbeatMetrics,
  Token: tokenMetrics,
  Service: serviceMetrics,
};

/** Of a label with more the values stand on another page. */
const MOST_VALUES = 25;

const dimensionText = {
  kinds: 'each kind of webhook',
  streams: 'each stream',
  version: 'of the service',
  node_version: 'of Node',
} as const;

/** The tables of docs/metrics.md, one a part. */
export function renderMetrics(): string {
  return Object.entries(parts)
    .map(([part, specs]) => `\n### ${part}\n\n${tableOf(specs)}`)
    .join('');
}

function tableOf(specs: MetricSpecs): string {
  const rows = Object.entries(specs).map(
    ([name, spec]) =>
      `| \`${METRIC_PREFIX}${name}\` | ${spec.type}, ${spec.unit} | ${labelsOf(spec)} | ${spec.help} |\n`,
  );
  return `| metric | type, unit | labels | meaning |\n|---|---|---|---|\n${rows.join('')}`;
}

/** Each label with the values that it has in any of the label sets. */
function labelsOf({ labels = [] }: MetricSpec): string {
  const names = Object.keys(labels[0] ?? {});
  return names.map((name) => `\`${name}\`: ${valuesOf(name, labels)}`).join('<br>');
}

function valuesOf(name: string, sets: readonly LabelSet[]): string {
  const values = sets.flatMap((set) => {
    const given = set[name] ?? [];
    return typeof given === 'string' ? [dimensionText[given]] : given.map((value) => `\`${value}\``);
  });
  const all = [...new Set(values)];
  return all.length > MOST_VALUES ? `the codes of [errors](errors.md)` : all.join(', ');
}
