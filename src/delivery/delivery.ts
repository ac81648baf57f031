import { addAbortListener } from 'node:events';
import { type Clock, createWaiter } from '../ground/clock.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import { type ClaimedCall, MAX_CALL_BYTES, ownPace, type Queue, type SharedPace } from '../outbox/port.ts';
import { retryDelayMs } from './backoff.ts';
import { createClaim } from './claim.ts';
import { Contrast } from './contrast.ts';
import { createCourier, type Setback } from './courier.ts';
import { createHold, type Explanation, type Hold, type OnDeliveryEvent, type Retried, whyOff } from './event.ts';
import { answerText, type Ingestion, type Outcome, type UploadResult } from './outcome.ts';

/** Calls under way at once while there is a backlog. */
const MAX_PARALLEL_CALLS = 4;
/** For what this process does not hear of: a command or another replica gave back, replayed or purged rows. */
const LOOK_MS = 5_000;

interface DeliveryOptions {
  readonly kinds: readonly WebhookKind[];
  /** By name of the kind; null: off. */
  readonly streams: Readonly<Record<string, string | null>>;
  readonly outbox: Queue;
  readonly ingestion: Ingestion;
  /** What to tell an operator about an answer that holds the stream of the kind. */
  readonly explain: (result: UploadResult, kind: WebhookKind & Pick<Hold, 'stream'>, outcome: Outcome) => Explanation;
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
  const pumps = new Map(options.kinds.map((kind) => [kind.name, createPump(options, kind)]));
  return {
    start(): void {
      for (const pump of pumps.values()) pump.start();
    },
    /** Rows of this kind wait that did not before, about so many bytes; null: of any kind. */
    notify(kind: string | null, bytes: number): void {
      for (const [name, pump] of pumps) if (kind === null || kind === name) pump.notify(bytes);
    },
    /** Ends the waits after a setback, for a person who has mended something. `kind`: of this one alone. */
    async retry(kind: string | null): Promise<readonly Retried[]> {
      const chosen = [...pumps].filter(([name]) => kind === null || kind === name);
      const retried = await Promise.all(chosen.map(([, pump]) => pump.retry()));
      return retried.filter((one) => one !== null);
    },
    /** Streams that wait for a person, in the order of the registry. */
    holds: (): readonly Hold[] => [...pumps.values()].flatMap(({ hold }) => hold.current ?? []),
    /** Streams that wait after a setback and are not on hold. */
    retrying: () => [...pumps.values()].flatMap((pump) => pump.retrying() ?? []),
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
function createPump(options: DeliveryOptions, kind: WebhookKind) {
  const { outbox, clock, random, flushIntervalMs, explain, pace = ownPace } = options;
  const stream = options.streams[kind.name] ?? 'off';
  const isOff = stream === 'off';
  const stopping = new AbortController();
  const aborting = new AbortController();
  const waiter = createWaiter(clock, stopping.signal);
  const hold = createHold({ kind: kind.name, stream }, clock, options.onEvent);
  const contrast = new Contrast();
  const common = { ...options, kind: kind.name, stream, waiter, stopping: stopping.signal };
  const claim = createClaim(common);
  const deliver = createCourier({
    ...common,
    contrast,
    settle: claim.settle,
    isHeld: () => hold.current !== null,
    signal: aborting.signal,
  });
  let waitingBytes = 0;
  let failures = 0;
  /**
   * The setback, its own or another replica's, after which it waits, or is being tried again; null: there is none.
   * `answer`: what Azure last answered. `nextTryAt`: null while it is being tried. Times are milliseconds since the epoch.
   */
  let setback: { since: number; answer: string; nextTryAt: number | null } | null = null;
  /** Such waits end at once, until the next round begins. */
  let isHurried = false;
  let loop: Promise<void> = Promise.resolve();

  async function run(): Promise<void> {
    // Whatever waited over a restart goes at once.
    let more = true;
    while (!stopping.signal.aborted) {
      if (!more) await waitForWork();
      if (stopping.signal.aborted) return;
      try {
        more = !isOff && (await round());
        if (isOff) await lookAtOff();
      } catch (error) {
        options.onEvent({ type: 'defect', stream, message: String(error) });
        await pause(retryDelayMs(failures, null, random), 'a defect of this service, which its log names');
        more = true;
      }
    }
  }

  /** Until the first new row has waited for company long enough, or there is enough for a call. */
  async function waitForWork(): Promise<void> {
    await waiter.until(LOOK_MS, () => waitingBytes > 0 || isHurried);
    if (isOff || waitingBytes === 0) return;
    await waiter.until(flushIntervalMs, () => waitingBytes >= MAX_CALL_BYTES);
  }

  /**
   * In place of a round where the stream is off. New events of the kind are quarantined, but some may wait from before the
   * variable was changed, or because dead letters were replayed: nothing sends them, so they are a hold.
   */
  async function lookAtOff(): Promise<void> {
    waitingBytes = 0;
    const count = await countWaiting();
    if (count === null || stopping.signal.aborted) return;
    if (count === 0) recover();
    else hold.keep(whyOff(kind, count));
  }

  /** Null: not known. An outbox that does not answer says so itself, and what was known still stands. */
  async function countWaiting(): Promise<number | null> {
    const stats = await outbox.stats().catch(() => null);
    return stats === null ? null : (stats.waiting[kind.name]?.count ?? 0);
  }

  /** One claim and its calls. Whether there may be more to do at once. */
  async function round(): Promise<boolean> {
    isHurried = false;
    const first = await pace.turn(stream);
    if (first.restMs > 0) {
      await rest(first.restMs);
      return true;
    }
    const parallel = failures > 0 || first.alone ? 1 : MAX_PARALLEL_CALLS;
    waitingBytes = 0;
    // Azure takes an empty list and no row: one row at a time finds out when it takes them again, or which are at fault.
    const isProbe = hold.current?.code === 'rows_refused';
    const taken = await (isProbe ? claim.takeRow(contrast) : claim.take(parallel));
    const isNothing = taken === null || taken.calls.length === 0;
    if (first.alone && isNothing) await pace.rest(stream, 0, true); // another may try
    if (taken === null) return true;
    if (isNothing) {
      setback = null;
      // What was held was purged meanwhile, or another replica delivered it. If another has it, it still counts.
      if (hold.current !== null && (await countWaiting()) === 0) recover();
      return claim.isLost();
    }
    // Azure may have asked another for a pause since, who gave back what is claimed here.
    const { restMs, alone } = first.alone ? first : await pace.turn(stream);
    if (restMs > 0) {
      await claim.release();
      await rest(restMs);
      return true;
    }
    const met = await send(taken.calls, parallel);
    const delayMs = met === null ? 0 : retryDelayMs(failures, retryAfterOf(met), random);
    // Before the events are free: whoever claims them then knows.
    if (met !== null) await pace.rest(stream, delayMs, alone);
    await claim.release();
    if (met === null) {
      // At the end nothing may have been tried.
      if ((alone || failures > 0) && !stopping.signal.aborted) await pace.resume(stream);
      recover();
      // A claim that ended at one of its bounds, or after which nothing new came, may have left some: look again at once.
      return claim.isLost() || waitingBytes === 0 || isProbe || taken.mayBeMore;
    }
    const { outcome, result } = met;
    if (outcome.type === 'hold') {
      const clientRequestId = result.type === 'no_token' ? null : result.clientRequestId;
      hold.keep({ code: outcome.code, ...explain(result, { ...kind, stream }, outcome), clientRequestId });
    }
    await pause(delayMs, answerText(result));
    return true;
  }

  /** Up to `parallel` calls at once; after the first setback, or when the claim is lost, no new one is begun. */
  async function send(calls: readonly ClaimedCall[], parallel: number): Promise<Setback | null> {
    const waiting = calls.values();
    const setbacks: Setback[] = [];
    const carry = async (): Promise<void> => {
      for (const call of waiting) {
        // What is not sent is not settled, so it is claimed again.
        if (setbacks.length > 0 || claim.isLost() || stopping.signal.aborted) return;
        const setback = await deliver(call);
        if (setback !== null) setbacks.push(setback);
      }
    };
    await Promise.all(Array.from({ length: parallel }, carry));
    // Where another call of the round was taken after rows were refused, the next round tells which are at fault.
    const holding = setbacks.filter(({ refusedAt }) => refusedAt === undefined || contrast.taken === refusedAt);
    // A hold is worse than a retry; of two retries the longer wait counts.
    const worst = holding.find(({ outcome }) => outcome.type === 'hold');
    return worst ?? holding.toSorted((a, b) => (retryAfterOf(b) ?? 0) - (retryAfterOf(a) ?? 0))[0] ?? null;
  }

  function recover(): void {
    failures = 0;
    setback = null;
    hold.end();
  }

  async function pause(delayMs: number, answer: string): Promise<void> {
    failures += 1;
    if (hold.current === null) options.onEvent({ type: 'retry_scheduled', stream, failures, delayMs });
    await rest(delayMs, answer);
  }

  async function rest(delayMs: number, answer?: string): Promise<void> {
    const others = { since: clock.now(), answer: 'Azure told another replica to wait' };
    setback = { ...others, ...setback, ...(answer && { answer }), nextTryAt: clock.now() + delayMs };
    await waiter.until(delayMs, () => isHurried);
    setback = { ...setback, nextTryAt: null };
  }

  return {
    hold,
    retrying: () => (setback === null || hold.current !== null ? null : { kind: kind.name, stream, ...setback }),
    start(): void {
      loop = run();
    },
    notify(bytes: number): void {
      waitingBytes += bytes;
      waiter.look();
    },
    /** Null: nothing was waiting after a setback. With replicas, the one that asks for a turn first tries for all. */
    async retry(): Promise<Retried | null> {
      const wasShared = await pace.endRest(stream);
      if (isOff || !(wasShared || setback !== null || failures > 0)) return null;
      const retried = { kind: kind.name, stream, code: hold.current?.code ?? null };
      options.onEvent({ type: 'retry_asked', ...retried });
      isHurried = true;
      waiter.look();
      return retried;
    },
    async stop(signal: AbortSignal): Promise<void> {
      stopping.abort();
      using _listening = addAbortListener(signal, () => aborting.abort());
      await loop;
      // The last upload may have begun one.
      hold.close();
    },
  };
}

function retryAfterOf({ outcome }: Setback): number | null {
  return outcome.type === 'retry' ? outcome.retryAfterMs : null;
}
