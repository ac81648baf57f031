import type { Clock } from '../ground/clock.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import type { Queue } from '../outbox/port.ts';
import type { Hold, OnDeliveryEvent } from './event.ts';
import type { StreamPump } from './stream-pump.ts';
import { createWaiter } from './waiter.ts';

const REMINDER_MS = 60_000;
/** While events wait a purge should be seen soon; otherwise a replay may bring some, on another replica too. */
const HELD_LOOK_MS = 5_000;
const IDLE_LOOK_MS = 30_000;

export interface OffStreamOptions {
  readonly kind: WebhookKind;
  readonly outbox: Pick<Queue, 'stats'>;
  readonly clock: Clock;
  readonly onEvent: OnDeliveryEvent;
}

/**
 * In place of the pump of a kind whose stream is `off`. New events of it are quarantined, but some may wait from before
 * the variable was changed, or because dead letters were replayed: nothing sends them, so they are a hold.
 */
export function createOffStream({ kind, outbox, clock, onEvent }: OffStreamOptions): StreamPump {
  const waiter = createWaiter(clock);
  let hold: Hold | null = null;
  let toldAt = 0;
  let isStopped = false;
  let isNotified = false;
  let loop: Promise<void> = Promise.resolve();

  async function run(): Promise<void> {
    while (!isStopped) {
      isNotified = false;
      await look();
      await waiter.until(hold === null ? IDLE_LOOK_MS : HELD_LOOK_MS, () => isNotified);
    }
  }

  async function look(): Promise<void> {
    const count = await outbox.stats().then(
      ({ waiting }) => waiting[kind.name]?.count ?? 0,
      // An outbox that does not answer says so itself; what was known still stands.
      () => null,
    );
    if (isStopped || count === null) return;
    if (count === 0) end();
    else keep(count);
  }

  function keep(count: number): void {
    const isNew = hold === null;
    hold = { ...explain(kind, count), kind: kind.name, stream: 'off', since: hold?.since ?? clock.now() };
    if (!isNew && clock.now() - toldAt < REMINDER_MS) return;
    toldAt = clock.now();
    onEvent({ type: isNew ? 'held' : 'still_held', hold });
  }

  function end(): void {
    if (hold === null) return;
    const ended = hold;
    hold = null;
    onEvent({ type: 'hold_ended', hold: ended });
  }

  return {
    start() {
      loop = run();
    },
    notify() {
      isNotified = true;
      waiter.look();
    },
    hold: () => hold,
    lastDeliveryAt: () => null,
    async stop() {
      isStopped = true;
      waiter.close();
      await loop;
    },
  };
}

function explain({ name, streamVariable }: WebhookKind, count: number): Omit<Hold, 'kind' | 'stream' | 'since'> {
  const waiting = count === 1 ? `1 event of the kind ${name} waits` : `${count} events of the kind ${name} wait`;
  return {
    code: 'stream_off',
    reason: `${streamVariable} is off, and ${waiting} in the outbox, which nothing sends.`,
    fix:
      `Set ${streamVariable} to a stream of the data collection rule and restart the service; or delete these events: ` +
      `\`outbox purge --all --state held --kind ${name}\`.`,
    message: null,
    clientRequestId: null,
  };
}
