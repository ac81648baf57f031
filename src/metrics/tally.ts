import { Counter, type CounterConfiguration } from 'prom-client';

type Labels<Label extends string> = Readonly<Record<Label, string>>;

/** As much of prom-client's Counter as is used here. */
export interface Tally<Label extends string> extends Pick<Counter<Label>, 'get'> {
  /** Wants every label of the counter. */
  inc(labels: Labels<Label>, amount?: number): void;
}

/** A place in the tree of label values: the root, behind the first value, …; counted is at the last one. */
interface Place<Label extends string> {
  readonly behind: Map<string, Place<Label>>;
  labels: Labels<Label> | null;
  /** What prom-client has not been told yet. */
  amount: number;
}

/**
 * A counter of prom-client's that is told its sums when it is read. At each `inc` it makes a text of the labels and looks
 * that up; several counters count each webhook, and here the place is found by one value after another in a fifth of the
 * time. `labelSets` exist from the start, at 0.
 */
export function createTally<Label extends string>(
  config: CounterConfiguration<Label>,
  labelSets: readonly Labels<Label>[],
): Tally<Label> {
  const { labelNames = [] } = config;
  const root = createPlace<Label>();
  const counted: Place<Label>[] = [];
  const counter = new Counter({ ...config, collect });
  for (const labels of labelSets) counter.inc(labels, 0);

  function collect(): void {
    for (const place of counted) {
      if (place.labels !== null && place.amount > 0) counter.inc(place.labels, place.amount);
      place.amount = 0;
    }
  }

  return {
    get: () => counter.get(),
    inc(labels, amount = 1) {
      let place = root;
      for (const name of labelNames) {
        let next = place.behind.get(labels[name]);
        if (next === undefined) {
          next = createPlace();
          place.behind.set(labels[name], next);
        }
        place = next;
      }
      if (place.labels === null) {
        place.labels = labels;
        counted.push(place);
      }
      place.amount += amount;
    },
  };
}

function createPlace<Label extends string>(): Place<Label> {
  return { behind: new Map(), labels: null, amount: 0 };
}
