import type { Clock } from '../clock.ts';
import type { ClaimedEvent, Outbox, Settlement, SettlementOutcome } from '../outbox/port.ts';
import { countRows } from '../outbox/ranges.ts';
import { retryDelayMs } from './backoff.ts';
import { batches, MAX_CALL_BYTES, type PlanOf } from './batch.ts';
import { createCourier, type Setback } from './courier.ts';
import { holdCauseOf } from './hold-cause.ts';
import type { Ingestion, UploadResult } from './ingestion.ts';
import type { DeliveryObserver, Hold } from './observer.ts';
import { ownPace, type SharedPace } from './shared-pace.ts';
import { createWaiter } from './waiter.ts';

/** Calls under way at once while there is a backlog. */
const MAX_PARALLEL_CALLS = 4;
const MAX_EVENTS_PER_CLAIM = 2_000;
const HOLD_REMINDER_MS = 60_000;
/** A look at the outbox now and then, should a notification ever be missed. */
const IDLE_LOOK_MS = 30_000;
const MAX_OUTBOX_PAUSE_MS = 5_000;

export interface StreamPumpOptions {
  readonly kind: string;
  readonly stream: string;
  readonly outbox: Outbox;
  readonly ingestion: Ingestion;
  readonly planOf: PlanOf;
  readonly explain: (result: UploadResult) => { readonly reason: string; readonly fix: string };
  readonly clock: Clock;
  /** Gives [0, 1). */
  readonly random: () => number;
  readonly observer: DeliveryObserver;
  /** The longest a row waits for company, milliseconds. */
  readonly flushIntervalMs: number;
  readonly pace?: SharedPace;
}

export interface StreamPump {
  start(): void;
  /** Something new waits in the outbox. */
  notify(mappedBytes: number): void;
  hold(): Hold | null;
  /** When Azure last took rows, milliseconds since the epoch. */
  lastDeliveryAt(): number | null;
  /** Takes no new call, waits for those under way, gives unsent rows back. `signal` cuts the waiting short. */
  stop(signal: AbortSignal): Promise<void>;
}

/**
 * Takes the events of one stream from the outbox to Azure, for ever: wait for company or a full call, claim, send,
 * settle. After a setback it waits at the backoff's pace and sends one call at a time until one gets through.
 */
export function createStreamPump(options: StreamPumpOptions): StreamPump {
  const { kind, stream, outbox, clock, observer, pace = ownPace } = options;
  const waiter = createWaiter(clock);
  const stopping = new AbortController();
  const aborting = new AbortController();
  let waitingBytes = 0;
  let failures = 0;
  let hold: Hold | null = null;
  let cancelReminder = () => {};
  let lastDeliveryAt: number | null = null;
  let loop: Promise<void> = Promise.resolve();
  /** How many rows of what is claimed nothing was settled of yet, by event. */
  const unsettled = new Map<string, number>();
  /** Something of the claim is another's now (fenced), or was purged: it is not known what else is. */
  let isLost = false;
  /** Of the outbox, in a row. */
  let claimFailures = 0;

  const courier = createCourier({
    stream,
    ingestion: options.ingestion,
    clock,
    observer,
    settle,
    isHeld: () => hold !== null,
    onDelivered: () => {
      lastDeliveryAt = clock.now();
    },
  });

  async function run(): Promise<void> {
    // Whatever waited over a restart goes at once.
    let more = true;
    while (!stopping.signal.aborted) {
      if (!more) await waitForWork();
      if (stopping.signal.aborted) return;
      more = await roundSafely();
    }
  }

  /** Until the first new row has waited for company long enough, or there is enough for a call. */
  async function waitForWork(): Promise<void> {
    if (waitingBytes === 0) await waiter.until(IDLE_LOOK_MS, () => waitingBytes > 0);
    if (waitingBytes > 0) await waiter.until(options.flushIntervalMs, () => waitingBytes >= MAX_CALL_BYTES);
  }

  async function roundSafely(): Promise<boolean> {
    try {
      return await round();
    } catch (error) {
      observer.defect({ stream, message: error instanceof Error ? `${error.name}: ${error.message}` : 'unknown' });
      await pause();
      return true;
    }
  }

  /** One claim and its calls. Whether there may be more to do at once. */
  async function round(): Promise<boolean> {
    const first = await pace.turn(stream);
    if (first.restMs > 0) return rest(first.restMs);
    const parallel = failures > 0 || first.alone ? 1 : MAX_PARALLEL_CALLS;
    const maxMappedBytes = parallel * MAX_CALL_BYTES;
    waitingBytes = 0;
    const claimed = await claim(maxMappedBytes);
    if (first.alone && (claimed === null || claimed.length === 0)) await pace.rest(stream, 0, true); // another may try
    if (claimed === null) return true;
    if (claimed.length === 0) return false;
    // Azure may have asked another for a pause since, who gave back what is claimed here.
    const { restMs, alone } = first.alone ? first : await pace.turn(stream);
    if (restMs > 0) {
      await release(claimed);
      return rest(restMs);
    }
    const setback = await send(claimed, parallel);
    const delayMs = setback === null ? 0 : retryDelayMs(failures, retryAfterOf(setback), options.random);
    // Before the events are free: whoever claims them then knows.
    if (setback !== null) await pace.rest(stream, delayMs, alone);
    await release(claimed);
    if (setback === null) {
      // At the end nothing may have been tried.
      if ((alone || failures > 0) && !stopping.signal.aborted) await pace.resume(stream);
      recover();
      // A claim that nearly reached its bound, or after which nothing new came, may have left some: look again at once.
      const claimedBytes = claimed.reduce((sum, event) => sum + event.mappedBytes, 0);
      return (
        isLost || waitingBytes === 0 || claimed.length === MAX_EVENTS_PER_CLAIM || claimedBytes >= maxMappedBytes / 2
      );
    }
    fail(setback);
    await pauseFor(delayMs);
    return true;
  }

  async function rest(restMs: number): Promise<true> {
    await waiter.until(restMs, () => false);
    return true;
  }

  /** What was not settled can be claimed again. An event of which all was is free by itself. */
  async function release(claimed: readonly ClaimedEvent[]): Promise<void> {
    const left = claimed.filter(({ eventId }) => unsettled.has(eventId));
    unsettled.clear();
    if (left.length === 0) return;
    await settleForSure(left.map(({ eventId, token }) => ({ eventId, token, delivered: [], dead: [], release: true })));
  }

  async function settle(settlements: readonly Settlement[]): Promise<void> {
    const outcomes = await settleForSure(settlements);
    if (outcomes.includes('stale')) isLost = true;
    for (const { eventId, delivered, dead } of settlements) {
      const settled = dead.reduce((sum, { rows }) => sum + countRows(rows), countRows(delivered));
      const left = (unsettled.get(eventId) ?? 0) - settled;
      if (left > 0) unsettled.set(eventId, left);
      else unsettled.delete(eventId);
    }
  }

  async function claim(maxMappedBytes: number): Promise<readonly ClaimedEvent[] | null> {
    try {
      const claimed = await outbox.claim({ kind, maxEvents: MAX_EVENTS_PER_CLAIM, maxMappedBytes });
      for (const { eventId, pending } of claimed) unsettled.set(eventId, countRows(pending));
      claimFailures = 0;
      return claimed;
    } catch (error) {
      observer.outboxFailed({ stream, operation: 'claim', message: messageOf(error) });
      await pauseForOutbox(claimFailures++);
      return null;
    }
  }

  /** Up to `parallel` calls at once; after the first setback, or when the claim is lost, no new one is begun. */
  async function send(claimed: readonly ClaimedEvent[], parallel: number): Promise<Setback | null> {
    const items = batches(claimed, options.planOf);
    let worst: Setback | null = null;
    isLost = false;
    const isOver = () => worst !== null || isLost || stopping.signal.aborted;
    async function carry(): Promise<void> {
      while (!isOver()) {
        const item = await items.next();
        // While it was made another call may have failed. What was taken here is not settled, so it comes again.
        if (item.done || isOver()) return;
        if (item.value.type === 'unsendable') {
          const { event, rows, code, reason } = item.value;
          await courier.bury(event, { rows, code, reason });
          continue;
        }
        const setback = await courier.deliver(item.value.call, aborting.signal);
        if (setback !== null) worst = worseOf(worst, setback);
      }
    }
    await Promise.all(Array.from({ length: parallel }, carry));
    return worst;
  }

  function fail(setback: Setback): void {
    if (setback.outcome.type !== 'hold') return;
    const explained = options.explain(setback.result);
    const clientRequestId = setback.result.type === 'no_token' ? null : setback.result.clientRequestId;
    const isNew = hold === null;
    const cause = holdCauseOf(setback.result);
    hold = { kind, stream, since: hold?.since ?? clock.now(), ...explained, cause, clientRequestId };
    if (!isNew) return;
    observer.held(hold);
    remind();
  }

  function remind(): void {
    cancelReminder = clock.setTimer(HOLD_REMINDER_MS, () => {
      if (hold === null) return;
      observer.stillHeld(hold);
      remind();
    });
  }

  function recover(): void {
    failures = 0;
    if (hold === null) return;
    cancelReminder();
    const ended = hold;
    hold = null;
    observer.holdEnded(ended);
  }

  function pause(): Promise<void> {
    return pauseFor(retryDelayMs(failures, null, options.random));
  }

  async function pauseFor(delayMs: number): Promise<void> {
    failures++;
    if (hold === null) observer.retryScheduled({ stream, failures, delayMs });
    await waiter.until(delayMs, () => false);
  }

  /** The outbox is ours to ask: it bears that more often than Azure, and what it comes back with is waited for. */
  function pauseForOutbox(failuresBefore: number): Promise<void> {
    const delayMs = Math.min(retryDelayMs(failuresBefore, null, options.random), MAX_OUTBOX_PAUSE_MS);
    return waiter.until(delayMs, () => false);
  }

  /** What Azure took must not be sent again: it is told to the outbox until that has written it down. */
  async function settleForSure(settlements: readonly Settlement[]): Promise<readonly SettlementOutcome[]> {
    for (let tries = 0; ; tries++) {
      try {
        return await outbox.settle(settlements);
      } catch (error) {
        observer.outboxFailed({ stream, operation: 'settle', message: messageOf(error) });
        // At the end there is no time left: at the next start these rows are sent once more.
        if (stopping.signal.aborted) return [];
        await pauseForOutbox(tries);
      }
    }
  }

  return {
    start() {
      loop = run();
    },
    notify(mappedBytes) {
      waitingBytes += mappedBytes;
      waiter.look();
    },
    hold: () => hold,
    lastDeliveryAt: () => lastDeliveryAt,
    async stop(signal) {
      stopping.abort();
      cancelReminder();
      waiter.close();
      const abort = () => aborting.abort();
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
      await loop;
      signal.removeEventListener('abort', abort);
    },
  };
}

/** A hold is worse than a retry; of two retries the longer wait counts. */
function worseOf(a: Setback | null, b: Setback): Setback {
  if (a === null || (a.outcome.type === 'retry' && b.outcome.type === 'hold')) return b;
  if (a.outcome.type === 'hold' || b.outcome.type === 'hold') return a;
  return (b.outcome.retryAfterMs ?? 0) > (a.outcome.retryAfterMs ?? 0) ? b : a;
}

function retryAfterOf({ outcome }: Setback): number | null {
  return outcome.type === 'retry' ? outcome.retryAfterMs : null;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}
