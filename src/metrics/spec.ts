/** Values that are known only when the service starts. */
export type Dimension = 'kinds' | 'streams' | 'version' | 'node_version';

/** The values of each label; together they stand for every combination. */
export type LabelSet = Readonly<Record<string, readonly string[] | Dimension>>;

export interface MetricSpec {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly unit: string;
  readonly help: string;
  /** The label sets, each with the same labels. A series exists for each of them from the start. Absent: no labels. */
  readonly labels?: readonly LabelSet[];
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[];
}

export type MetricSpecs = Readonly<Record<string, MetricSpec>>;
