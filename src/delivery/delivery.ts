import type { Clock } from '../ground/clock.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import { planStored } from '../kinds/plan-stored.ts';
import type { EventEntry, Outbox } from '../outbox/port.ts';
import type { SharedPace } from '../outbox/shared-pace.ts';
import { LARGE_BODY_BYTES, type Reading } from '../reading/reading.ts';
import type { Hold, HoldExplanation, OnDeliveryEvent } from './event.ts';
import type { HoldCode } from './hold-code.ts';
import type { Ingestion, UploadResult } from './ingestion.ts';
import { createKeptRows, type FreshEvent, type KeptRows } from './kept-rows.ts';
import { createOffStream } from './off-stream.ts';
import { createStreamPump, type StreamPump } from './stream-pump.ts';

export interface DeliveryOptions {
  readonly kinds: readonly WebhookKind[];
  /** By name of the kind; null: off. */
  readonly streams: Readonly<Record<string, string | null>>;
  readonly outbox: Outbox;
  readonly ingestion: Ingestion;
  /** What to tell an operator about an answer that holds the stream of the kind. */
  readonly explain: (result: UploadResult, kind: WebhookKind, code: HoldCode) => HoldExplanation;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onEvent: OnDeliveryEvent;
  readonly flushIntervalMs: number;
  /** What the replicas that share the outbox tell each other; without it there is one process. */
  readonly pace?: SharedPace;
  /** Makes the rows of events with large bodies; without it they are made here. */
  readonly largeRows?: Reading['rows'];
}

export interface Delivery {
  start(): void;
  /** An event was stored just now, by this process. */
  stored(event: FreshEvent & Pick<EventEntry, 'kind' | 'mappedBytes'>): void;
  /** Something of this kind waits. */
  notify(kind: string, mappedBytes: number): void;
  /** Streams that wait for a person, in the order of the registry. */
  holds(): readonly Hold[];
  /** When Azure last took rows of each kind, milliseconds since the epoch; null: not since the start, or it is off. */
  lastDelivery(): Readonly<Record<string, number | null>>;
  /** Ends all pumps: see StreamPump.stop. */
  stop(signal: AbortSignal): Promise<void>;
}

/** One pump for each stream, so that a probe or a hold of one does not stop the others. */
export function createDelivery(options: DeliveryOptions): Delivery {
  const keptRows = createKeptRows(options.clock);
  const pumps = new Map(options.kinds.map((kind) => [kind.name, createPump(options, kind, keptRows)]));
  return {
    start() {
      for (const pump of pumps.values()) pump.start();
    },
    stored(event) {
      keptRows.keep(event);
      pumps.get(event.kind)?.notify(event.mappedBytes);
    },
    notify: (kind, mappedBytes) => pumps.get(kind)?.notify(mappedBytes),
    holds: () => [...pumps.values()].flatMap((pump) => pump.hold() ?? []),
    lastDelivery: () => Object.fromEntries([...pumps].map(([name, pump]) => [name, pump.lastDeliveryAt()])),
    async stop(signal) {
      await Promise.all([...pumps.values()].map((pump) => pump.stop(signal)));
      keptRows.close();
    },
  };
}

function createPump(options: DeliveryOptions, kind: WebhookKind, keptRows: KeptRows): StreamPump {
  const stream = options.streams[kind.name];
  if (stream == null) return createOffStream({ ...options, kind });
  const { largeRows } = options;
  return createStreamPump({
    ...options,
    kind: kind.name,
    stream,
    keptRowsOf: keptRows.take,
    planOf(event) {
      if ('rows' in event) return { rows: ([from, to]) => event.rows.slice(from, to) };
      return largeRows !== undefined && event.body.length > LARGE_BODY_BYTES
        ? { chunks: (range) => largeRows(kind, event, range) }
        : planStored(kind, event);
    },
    explain: (result, code) => options.explain(result, kind, code),
  });
}
