import type { Clock } from '../ground/clock.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import type { Queue } from '../outbox/port.ts';
import type { SharedPace } from '../outbox/shared-pace.ts';
import type { Hold, HoldExplanation, OnDeliveryEvent } from './event.ts';
import type { HoldCode } from './hold-code.ts';
import type { Ingestion, UploadResult } from './ingestion.ts';
import { createOffStream } from './off-stream.ts';
import { createStreamPump, type StreamPump } from './stream-pump.ts';

export interface DeliveryOptions {
  readonly kinds: readonly WebhookKind[];
  /** By name of the kind; null: off. */
  readonly streams: Readonly<Record<string, string | null>>;
  readonly outbox: Queue;
  readonly ingestion: Ingestion;
  /** What to tell an operator about an answer that holds the stream of the kind. */
  readonly explain: (result: UploadResult, kind: WebhookKind, code: HoldCode) => HoldExplanation;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onEvent: OnDeliveryEvent;
  readonly flushIntervalMs: number;
  /** What the replicas that share the outbox tell each other; without it there is one process. */
  readonly pace?: SharedPace;
}

export interface Delivery {
  start(): void;
  /** Rows of this kind wait that did not before, about so many bytes; null: of any kind. */
  notify(kind: string | null, bytes: number): void;
  /** Streams that wait for a person, in the order of the registry. */
  holds(): readonly Hold[];
  /** When Azure last took rows of each kind, milliseconds since the epoch; null: not since the start, or it is off. */
  lastDelivery(): Readonly<Record<string, number | null>>;
  /** Ends all pumps: see StreamPump.stop. */
  stop(signal: AbortSignal): Promise<void>;
}

/** One pump for each stream, so that a probe or a hold of one does not stop the others. */
export function createDelivery(options: DeliveryOptions): Delivery {
  const pumps = new Map(options.kinds.map((kind) => [kind.name, createPump(options, kind)]));
  return {
    start() {
      for (const pump of pumps.values()) pump.start();
    },
    notify(kind, bytes) {
      for (const [name, pump] of pumps) if (kind === null || kind === name) pump.notify(bytes);
    },
    holds: () => [...pumps.values()].flatMap((pump) => pump.hold() ?? []),
    lastDelivery: () => Object.fromEntries([...pumps].map(([name, pump]) => [name, pump.lastDeliveryAt()])),
    async stop(signal) {
      await Promise.all([...pumps.values()].map((pump) => pump.stop(signal)));
    },
  };
}

function createPump(options: DeliveryOptions, kind: WebhookKind): StreamPump {
  const stream = options.streams[kind.name];
  if (stream == null) return createOffStream({ ...options, kind });
  return createStreamPump({
    ...options,
    kind: kind.name,
    stream,
    explain: (result, code) => options.explain(result, kind, code),
  });
}
