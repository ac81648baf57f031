import type { Clock } from '../ground/clock.ts';
import { MAX_CALL_BYTES } from '../outbox/port.ts';
import { ownPace, type SharedPace } from '../outbox/shared-pace.ts';
import { retryDelayMs } from './backoff.ts';
import type { Call } from './call.ts';
import { createContrast } from './contrast.ts';
import { createCourier, type Setback } from './courier.ts';
import type { Hold, HoldExplanation } from './event.ts';
import type { HoldCode } from './hold-code.ts';
import type { Ingestion, UploadResult } from './ingestion.ts';
import { createStreamClaim, type StreamClaimOptions } from './stream-claim.ts';
import { createWaiter } from './waiter.ts';

/** Calls under way at once while there is a backlog. */
const MAX_PARALLEL_CALLS = 4;
const HOLD_REMINDER_MS = 60_000;
/** A look at the outbox now and then, should a notification ever be missed. */
const IDLE_LOOK_MS = 30_000;

export interface StreamPumpOptions extends Omit<StreamClaimOptions, 'waiter' | 'isStopping'> {
  readonly ingestion: Ingestion;
  readonly explain: (result: UploadResult, code: HoldCode) => HoldExplanation;
  readonly clock: Clock;
  /** The longest a row waits for company, milliseconds. */
  readonly flushIntervalMs: number;
  readonly pace?: SharedPace;
}

export interface StreamPump {
  start(): void;
  /** Something new waits in the outbox. */
  notify(bytes: number): void;
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
  const { kind, stream, clock, onEvent, pace = ownPace } = options;
  const waiter = createWaiter(clock);
  const stopping = new AbortController();
  const aborting = new AbortController();
  let waitingBytes = 0;
  let failures = 0;
  let hold: Hold | null = null;
  let cancelReminder = () => {};
  let lastDeliveryAt: number | null = null;
  let loop: Promise<void> = Promise.resolve();

  const claim = createStreamClaim({ ...options, waiter, isStopping: () => stopping.signal.aborted });
  const contrast = createContrast();
  const courier = createCourier({
    stream,
    ingestion: options.ingestion,
    contrast,
    clock,
    onEvent,
    settle: claim.settle,
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
      const message = error instanceof Error ? `${error.name}: ${error.message}` : 'unknown';
      onEvent({ type: 'defect', stream, message });
      await pause();
      return true;
    }
  }

  /** One claim and its calls. Whether there may be more to do at once. */
  async function round(): Promise<boolean> {
    const first = await pace.turn(stream);
    if (first.restMs > 0) return rest(first.restMs);
    const parallel = failures > 0 || first.alone ? 1 : MAX_PARALLEL_CALLS;
    waitingBytes = 0;
    // Azure takes an empty list and no row: one row at a time finds out when it takes them again, or which are at fault.
    const isProbe = hold?.code === 'rows_refused';
    const taken = await (isProbe ? claim.takeRow(contrast) : claim.take(parallel));
    if (first.alone && (taken === null || taken.calls.length === 0)) await pace.rest(stream, 0, true); // another may try
    if (taken === null) return true;
    if (taken.calls.length === 0) {
      // What was refused was purged meanwhile.
      if (isProbe && !claim.isLost()) recover();
      return claim.isLost();
    }
    // Azure may have asked another for a pause since, who gave back what is claimed here.
    const { restMs, alone } = first.alone ? first : await pace.turn(stream);
    if (restMs > 0) {
      await claim.release();
      return rest(restMs);
    }
    const setback = await send(taken.calls, parallel);
    const delayMs = setback === null ? 0 : retryDelayMs(failures, retryAfterOf(setback), options.random);
    // Before the events are free: whoever claims them then knows.
    if (setback !== null) await pace.rest(stream, delayMs, alone);
    await claim.release();
    if (setback === null) {
      // At the end nothing may have been tried.
      if ((alone || failures > 0) && !stopping.signal.aborted) await pace.resume(stream);
      recover();
      // A claim that ended at one of its bounds, or after which nothing new came, may have left some: look again at once.
      return claim.isLost() || waitingBytes === 0 || isProbe || taken.mayBeMore;
    }
    fail(setback);
    await pauseFor(delayMs);
    return true;
  }

  async function rest(restMs: number): Promise<true> {
    await waiter.until(restMs, () => false);
    return true;
  }

  /** Up to `parallel` calls at once; after the first setback, or when the claim is lost, no new one is begun. */
  async function send(calls: readonly Call[], parallel: number): Promise<Setback | null> {
    const waiting = calls.values();
    const setbacks: Setback[] = [];
    const isOver = () => setbacks.length > 0 || claim.isLost() || stopping.signal.aborted;
    async function carry(): Promise<void> {
      // What is not sent is not settled, so it is claimed again.
      while (!isOver()) {
        const next = waiting.next();
        if (next.done) return;
        const setback = await courier.deliver(next.value, aborting.signal);
        if (setback !== null) setbacks.push(setback);
      }
    }
    await Promise.all(Array.from({ length: parallel }, carry));
    // Where another call of the round was taken after rows were refused, the next round tells which are at fault.
    return setbacks
      .filter(({ refusedAt }) => refusedAt === undefined || contrast.now() === refusedAt)
      .reduce(worseOf, null);
  }

  function fail(setback: Setback): void {
    if (setback.outcome.type !== 'hold') return;
    const { code } = setback.outcome;
    const clientRequestId = setback.result.type === 'no_token' ? null : setback.result.clientRequestId;
    const isNew = hold === null;
    const since = hold?.since ?? clock.now();
    hold = { kind, stream, since, code, ...options.explain(setback.result, code), clientRequestId };
    if (!isNew) return;
    onEvent({ type: 'held', hold });
    remind();
  }

  function remind(): void {
    cancelReminder = clock.setTimer(HOLD_REMINDER_MS, () => {
      if (hold === null) return;
      onEvent({ type: 'still_held', hold });
      remind();
    });
  }

  function recover(): void {
    failures = 0;
    if (hold === null) return;
    cancelReminder();
    const ended = hold;
    hold = null;
    onEvent({ type: 'hold_ended', hold: ended });
  }

  function pause(): Promise<void> {
    return pauseFor(retryDelayMs(failures, null, options.random));
  }

  async function pauseFor(delayMs: number): Promise<void> {
    failures++;
    if (hold === null) onEvent({ type: 'retry_scheduled', stream, failures, delayMs });
    await waiter.until(delayMs, () => false);
  }

  return {
    start() {
      loop = run();
    },
    notify(bytes) {
      waitingBytes += bytes;
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
function worseOf(a: Setback | null, b: Setback): Setback | null {
  if (a === null || (a.outcome.type === 'retry' && b.outcome.type === 'hold')) return b;
  if (a.outcome.type === 'hold' || b.outcome.type === 'hold') return a;
  return (b.outcome.retryAfterMs ?? 0) > (a.outcome.retryAfterMs ?? 0) ? b : a;
}

function retryAfterOf({ outcome }: Setback): number | null {
  return outcome.type === 'retry' ? outcome.retryAfterMs : null;
}
