/** Values that are known at start only. */
export type Dimension = 'kinds' | 'streams' | 'version' | 'node_version';

/** The values of each label; together they stand for every combination. `{}`: no labels. */
export type LabelSet = Readonly<Record<string, readonly string[] | Dimension>>;

export interface MetricSpec {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly unit: string;
  /** Of the chapter in docs/metrics.md. */
  readonly part: 'Webhooks' | 'Outbox' | 'Delivery' | 'Heartbeat' | 'Token' | 'Service';
  readonly help: string;
  /** Which label sets there are. All of them exist from the start. Each has the same labels. */
  readonly labels: readonly LabelSet[];
  /** Of a histogram: upper bounds, in its unit. */
  readonly buckets?: readonly number[];
}

export type MetricSpecs = Readonly<Record<string, MetricSpec>>;
