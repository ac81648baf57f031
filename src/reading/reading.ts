import type { Clock } from '../ground/clock.ts';
import type { RowRange } from '../ground/event.ts';
import { type Understand, type UnderstandOptions, understand } from '../intake/understand.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import type { StoredEvent } from '../kinds/plan-stored.ts';
import type { RowText } from '../sentinel/row.ts';
import { createLargeLane } from './large.ts';
import { createRate } from './rate.ts';
import { createSmallLane } from './small.ts';

/**
 * A body of this size takes milliseconds, and tens of them when it is made for that: with one and more, others would
 * notice.
 */
export const LARGE_BODY_BYTES = 131_072;

/** Bodies a second. Far below what the main thread can read, and far above what Apono sends on most days. */
const BUSY_RATE = 200;

export interface Reading {
  /** As `understand` of apono/understand.ts. */
  readonly understand: Understand;
  /** Of an event whose body is large: as the rows of `planStored`, some at a time. Throws what mapping them throws. */
  rows(kind: WebhookKind, event: StoredEvent, range: RowRange): AsyncIterable<Iterable<RowText>>;
  /** Ends the threads; call when nothing is asked of them any more. */
  close(): Promise<void>;
}

export interface ReadingOptions extends UnderstandOptions {
  readonly clock: Clock;
  /** How many the process may use. */
  readonly processors: number;
}

/**
 * Where bodies are read: a large one in a thread of its own, so that it holds up nobody else's webhook; the others here,
 * or, while there are many and more than one processor, in a second thread, since reading is the larger part of what they
 * cost. The threads know the kinds of the registry only. They are started when they are needed; should one die, what was
 * asked of it is done here.
 */
export function createReading(options: ReadingOptions): Reading {
  const large = createLargeLane(options);
  const small = createSmallLane(options);
  const isBusy = createRate(options.clock, BUSY_RATE);
  const mayShare = options.processors > 1;
  return {
    understand(body, receivedAt) {
      if (body.bytes.length > LARGE_BODY_BYTES) return large.understand(body, receivedAt);
      if (mayShare && isBusy() && small.wake()) return small.understand(body, receivedAt);
      return understand(body, receivedAt, options);
    },
    rows: large.rows,
    async close() {
      await Promise.all([large.close(), small.close()]);
    },
  };
}
