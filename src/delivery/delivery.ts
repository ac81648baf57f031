import { type Clock, Waiter } from '../ground/clock.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import { MAX_CALL_BYTES, ownPace, type Queue, type SharedPace } from '../outbox/port.ts';
import { retryDelayMs } from './backoff.ts';
import { type Call, StreamClaim } from './claim.ts';
import { Contrast } from './contrast.ts';
import { createCourier, type Setback } from './courier.ts';
import { type Explanation, type Hold, type OnDeliveryEvent, StreamHold, whyOff } from './event.ts';
import type { HoldCode, Ingestion, UploadResult } from './outcome.ts';

/** Calls under way at once while there is a backlog. */
const MAX_PARALLEL_CALLS = 4;
/** A look at the outbox now and then, should a notification ever be missed. */
const IDLE_LOOK_MS = 30_000;
/** While events of a kind wait whose stream is off, a purge should be seen soon. */
const HELD_LOOK_MS = 5_000;

export interface DeliveryOptions {
  readonly kinds: readonly WebhookKind[];
  /** By name of the kind; null: off. */
  readonly streams: Readonly<Record<string, string | null>>;
  readonly outbox: Queue;
  readonly ingestion: Ingestion;
  /** What to tell an operator about an answer that holds the stream of the kind. */
  readonly explain: (result: UploadResult, kind: WebhookKind, code: HoldCode) => Explanation;
  readonly clock: Clock;
  /** Gives [0, 1). */
  readonly random: () => number;
  readonly onEvent: OnDeliveryEvent;
  /** The longest a row waits for company, milliseconds. */
  readonly flushIntervalMs: number;
  /** What the replicas that share the outbox tell each other; without it there is one process. */
  readonly pace?: SharedPace;
}

export type Delivery = ReturnType<typeof createDelivery>;

/** One pump for each stream, so that a probe or a hold of one does not stop the others. */
export function createDelivery(options: DeliveryOptions) {
  const pumps = new Map(options.kinds.map((kind) => [kind.name, new StreamPump(options, kind)]));
  return {
    start(): void {
      for (const pump of pumps.values()) pump.start();
    },
    /** Rows of this kind wait that did not before, about so many bytes; null: of any kind. */
    notify(kind: string | null, bytes: number): void {
      for (const [name, pump] of pumps) if (kind === null || kind === name) pump.notify(bytes);
    },
    /** Streams that wait for a person, in the order of the registry. */
    holds: (): readonly Hold[] => [...pumps.values()].flatMap(({ hold }) => hold.current ?? []),
    /** When Azure last took rows of each kind, milliseconds since the epoch; null: not since the start, or it is off. */
    lastDelivery: (): Readonly<Record<string, number | null>> =>
      Object.fromEntries([...pumps].map(([name, { lastDeliveryAt }]) => [name, lastDeliveryAt])),
    /** Takes no new call, waits for those under way, gives unsent rows back. `signal` cuts the waiting short. */
    async stop(signal: AbortSignal): Promise<void> {
      await Promise.all([...pumps.values()].map((pump) => pump.stop(signal)));
    },
  };
}

/**
 * Takes the events of one kind from the outbox to its stream, for ever: wait for company or a full call, claim, send,
 * settle. After a setback it waits at the backoff's pace and sends one call at a time until one gets through.
 */
class StreamPump {
  lastDeliveryAt: number | null = null;
  readonly hold: StreamHold;
  readonly #options: DeliveryOptions;
  readonly #kind: WebhookKind;
  /** `off` where the kind has none. */
  readonly #stream: string;
  readonly #isOff: boolean;
  readonly #stopping = new AbortController();
  readonly #aborting = new AbortController();
  readonly #waiter: Waiter;
  readonly #contrast = new Contrast();
  readonly #claim: StreamClaim;
  readonly #deliver: ReturnType<typeof createCourier>;
  #waitingBytes = 0;
  #failures = 0;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: DeliveryOptions, kind: WebhookKind) {
    this.#options = options;
    this.#kind = kind;
    const stream = options.streams[kind.name] ?? null;
    this.#isOff = stream === null;
    this.#stream = stream ?? 'off';
    this.#waiter = new Waiter(options.clock, this.#stopping.signal);
    this.hold = new StreamHold({ kind: kind.name, stream: this.#stream }, options.clock, options.onEvent);
    const common = { ...options, stream: this.#stream, waiter: this.#waiter, stopping: this.#stopping.signal };
    this.#claim = new StreamClaim({ ...common, kind: kind.name });
    this.#deliver = createCourier({
      ...common,
      contrast: this.#contrast,
      onEvent: (event) => {
        if (event.type === 'delivered') this.lastDeliveryAt = options.clock.now();
        options.onEvent(event);
      },
      settle: (settlements) => this.#claim.settle(settlements),
      isHeld: () => this.hold.current !== null,
      signal: this.#aborting.signal,
    });
  }

  start(): void {
    this.#loop = this.#run();
  }

  notify(bytes: number): void {
    this.#waitingBytes += bytes;
    this.#waiter.look();
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping.abort();
    this.hold.close();
    const abort = () => this.#aborting.abort();
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    await this.#loop;
    signal.removeEventListener('abort', abort);
  }

  async #run(): Promise<void> {
    const { onEvent, random } = this.#options;
    // Whatever waited over a restart goes at once.
    let more = true;
    while (!this.#stopping.signal.aborted) {
      if (!more) await this.#waitForWork();
      if (this.#stopping.signal.aborted) return;
      try {
        more = !this.#isOff && (await this.#round());
        if (this.#isOff) await this.#lookAtOff();
      } catch (error) {
        const message = error instanceof Error ? `${error.name}: ${error.message}` : 'unknown';
        onEvent({ type: 'defect', stream: this.#stream, message });
        await this.#pause(retryDelayMs(this.#failures, null, random));
        more = true;
      }
    }
  }

  /** Until the first new row has waited for company long enough, or there is enough for a call. */
  async #waitForWork(): Promise<void> {
    const lookMs = this.hold.current === null ? IDLE_LOOK_MS : HELD_LOOK_MS;
    await this.#waiter.until(lookMs, () => this.#waitingBytes > 0);
    if (this.#isOff || this.#waitingBytes === 0) return;
    await this.#waiter.until(this.#options.flushIntervalMs, () => this.#waitingBytes >= MAX_CALL_BYTES);
  }

  /**
   * In place of a round where the stream is off. New events of the kind are quarantined, but some may wait from before the
   * variable was changed, or because dead letters were replayed: nothing sends them, so they are a hold.
   */
  async #lookAtOff(): Promise<void> {
    this.#waitingBytes = 0;
    // An outbox that does not answer says so itself; what was known still stands.
    const stats = await this.#options.outbox.stats().catch(() => null);
    if (stats === null || this.#stopping.signal.aborted) return;
    const count = stats.waiting[this.#kind.name]?.count ?? 0;
    if (count === 0) this.#recover();
    else this.hold.keep(whyOff(this.#kind, count));
  }

  /** One claim and its calls. Whether there may be more to do at once. */
  async #round(): Promise<boolean> {
    const { pace = ownPace, random } = this.#options;
    const stream = this.#stream;
    const first = await pace.turn(stream);
    if (first.restMs > 0) {
      await this.#waiter.until(first.restMs);
      return true;
    }
    const parallel = this.#failures > 0 || first.alone ? 1 : MAX_PARALLEL_CALLS;
    this.#waitingBytes = 0;
    // Azure takes an empty list and no row: one row at a time finds out when it takes them again, or which are at fault.
    const isProbe = this.hold.current?.code === 'rows_refused';
    const taken = await (isProbe ? this.#claim.takeRow(this.#contrast) : this.#claim.take(parallel));
    const isNothing = taken === null || taken.calls.length === 0;
    if (first.alone && isNothing) await pace.rest(stream, 0, true); // another may try
    if (taken === null) return true;
    if (isNothing) {
      // What was refused was purged meanwhile.
      if (isProbe && !this.#claim.isLost) this.#recover();
      return this.#claim.isLost;
    }
    // Azure may have asked another for a pause since, who gave back what is claimed here.
    const { restMs, alone } = first.alone ? first : await pace.turn(stream);
    if (restMs > 0) {
      await this.#claim.release();
      await this.#waiter.until(restMs);
      return true;
    }
    const setback = await this.#send(taken.calls, parallel);
    const delayMs = setback === null ? 0 : retryDelayMs(this.#failures, retryAfterOf(setback), random);
    // Before the events are free: whoever claims them then knows.
    if (setback !== null) await pace.rest(stream, delayMs, alone);
    await this.#claim.release();
    if (setback === null) {
      // At the end nothing may have been tried.
      if ((alone || this.#failures > 0) && !this.#stopping.signal.aborted) await pace.resume(stream);
      this.#recover();
      // A claim that ended at one of its bounds, or after which nothing new came, may have left some: look again at once.
      return this.#claim.isLost || this.#waitingBytes === 0 || isProbe || taken.mayBeMore;
    }
    this.#fail(setback);
    await this.#pause(delayMs);
    return true;
  }

  /** Up to `parallel` calls at once; after the first setback, or when the claim is lost, no new one is begun. */
  async #send(calls: readonly Call[], parallel: number): Promise<Setback | null> {
    const waiting = calls.values();
    const setbacks: Setback[] = [];
    const carry = async (): Promise<void> => {
      // What is not sent is not settled, so it is claimed again.
      while (setbacks.length === 0 && !this.#claim.isLost && !this.#stopping.signal.aborted) {
        const next = waiting.next();
        if (next.done) return;
        const setback = await this.#deliver(next.value);
        if (setback !== null) setbacks.push(setback);
      }
    };
    await Promise.all(Array.from({ length: parallel }, carry));
    // Where another call of the round was taken after rows were refused, the next round tells which are at fault.
    const holding = setbacks.filter(({ refusedAt }) => refusedAt === undefined || this.#contrast.taken === refusedAt);
    // A hold is worse than a retry; of two retries the longer wait counts.
    const hold = holding.find(({ outcome }) => outcome.type === 'hold');
    return hold ?? holding.toSorted((a, b) => (retryAfterOf(b) ?? 0) - (retryAfterOf(a) ?? 0))[0] ?? null;
  }

  #fail({ outcome, result }: Setback): void {
    if (outcome.type !== 'hold') return;
    const clientRequestId = result.type === 'no_token' ? null : result.clientRequestId;
    const explanation = this.#options.explain(result, this.#kind, outcome.code);
    this.hold.keep({ code: outcome.code, ...explanation, clientRequestId });
  }

  #recover(): void {
    this.#failures = 0;
    this.hold.end();
  }

  async #pause(delayMs: number): Promise<void> {
    const stream = this.#stream;
    const failures = ++this.#failures;
    if (this.hold.current === null) this.#options.onEvent({ type: 'retry_scheduled', stream, failures, delayMs });
    await this.#waiter.until(delayMs);
  }
}

function retryAfterOf({ outcome }: Setback): number | null {
  return outcome.type === 'retry' ? outcome.retryAfterMs : null;
}
