import { Worker } from 'node:worker_threads';
import type { Logger } from '../../ground/log.ts';
import { OutboxUnavailableError } from '../port.ts';
import { OutboxStartError } from '../start-error.ts';
import type { StoreEvent } from '../store.ts';
import type { Answer, FromThread, Operation, Operations, Request, ThreadSettings, ToThread } from './protocol.ts';

export interface LinkOptions {
  readonly settings: Omit<ThreadSettings, 'isSuspect'>;
  readonly databaseToken: () => Promise<string>;
  readonly log: Logger;
  readonly onEvent: (event: StoreEvent) => void;
  /** A damaged database was found when the store was opened, and set aside under this name. */
  readonly onDamagedFile: (file: string) => void;
  /** Asked before each message: why nothing may be asked of the outbox now; null if it may. */
  readonly whyNotAsk: () => string | null;
  /** The thread died a second time, or could not be started again. Called once. */
  readonly onFatal: (error: Error) => void;
}

/** The main thread's end of the store thread: requests and their answers, and what happens when the thread dies. */
export interface Link {
  /** Null while requests are taken, else why they are not. */
  readonly problem: string | null;
  /** Whether no thread will answer any more. */
  readonly isGone: boolean;
  /**
   * Rejects with an OutboxUnavailableError if there is no thread, it dies, or it could not do it now; with a RangeError
   * if the request was wrong. Buffers of `transfer` are not usable any more.
   */
  ask<Name extends Operation>(
    operation: Name,
    args: Parameters<Operations[Name]>,
    transfer?: readonly ArrayBuffer[],
  ): ReturnType<Operations[Name]>;
  /** Lets the thread finish what it was asked, and waits for its end. */
  close(): Promise<void>;
  /** Ends the thread as a crash would, wherever it is. For tests. */
  kill(): Promise<void>;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

type State =
  | 'opening'
  | 'running'
  /** The thread died and the next one is being started. */
  | 'restarting'
  /** It died for good. */
  | 'gone'
  | 'closing'
  | 'closed';

const WHY_UNAVAILABLE: Record<State, string> = {
  opening: 'the outbox is being opened',
  running: 'the outbox did not answer',
  restarting: 'the outbox is being restarted after its thread died',
  gone: 'the thread of the outbox died',
  closing: 'the outbox is closing',
  closed: 'the outbox is closed',
};

const MAX_RESTARTS = 1;

/** So that the thread has something to do while the main thread takes the other requests of a burst. */
const MAX_REQUESTS_PER_MESSAGE = 8;

/**
 * The thread makes much garbage that dies at once (bodies, rows). Without a bound V8 gives it as large a nursery as a
 * whole program gets, and keeps the pages. Memory that lives is not limited: a single body may need much.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 16 };

/** Starts the thread. Rejects with an OutboxStartError. */
export async function openLink(options: LinkOptions): Promise<Link> {
  const { log } = options;
  const pending = new Map<number, Pending>();
  let outgoing: { readonly request: Request; readonly transfer: readonly ArrayBuffer[] }[] = [];
  let state: State = 'opening';
  let worker: Worker | null = null;
  let nextId = 1;
  let restarts = 0;
  let isSuspect = false;
  let restarting: Promise<void> = Promise.resolve();
  let closed: Promise<void> | null = null;

  function start(): Promise<void> {
    const settings: ThreadSettings = { ...options.settings, isSuspect };
    const started = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: settings,
      name: 'outbox',
      resourceLimits,
    });
    worker = started;
    return new Promise((resolve, reject) => {
      let isOpen = false;
      let cause: Error | null = null;
      started.on('message', (message: FromThread) => {
        if (message.type === 'opened') {
          isOpen = true;
          if (message.damagedFile !== null) options.onDamagedFile(message.damagedFile);
          resolve();
        } else if (message.type === 'open_failed') {
          cause = new OutboxStartError(message.code, message.message);
        } else {
          hear(message, started);
        }
      });
      started.on('error', (error) => {
        cause = error instanceof Error ? error : new Error(String(error));
      });
      started.on('exit', (code) => {
        const error = cause ?? new Error(`The thread of the outbox ended with code ${code}`);
        if (isOpen) onDeath(error);
        else reject(error);
      });
    });
  }

  function hear(message: Exclude<FromThread, { type: 'opened' | 'open_failed' }>, from: Worker): void {
    switch (message.type) {
      case 'answers':
        for (const answer of message.answers) settle(answer);
        return;
      case 'event':
        if (message.event.type === 'damaged') isSuspect = true;
        options.onEvent(message.event);
        return;
      case 'log':
        log[message.level](message.fields, message.message);
        return;
      case 'token_wanted': {
        const tell = (token: string | null, problem: string) =>
          from.postMessage({ type: 'token', token, problem } satisfies ToThread);
        options.databaseToken().then(
          (token) => tell(token, ''),
          (error: unknown) => tell(null, error instanceof Error ? error.message : String(error)),
        );
      }
    }
  }

  function settle(answer: Answer): void {
    const asked = pending.get(answer.id);
    pending.delete(answer.id);
    if (answer.type === 'done') asked?.resolve(answer.value);
    else if (answer.type === 'unavailable') asked?.reject(new OutboxUnavailableError(answer.reason));
    else asked?.reject(new RangeError(answer.message));
  }

  /** What was asked in one turn of the event loop goes in one message, or a few of them. */
  function post(): void {
    const batch = outgoing;
    outgoing = [];
    if (batch.length === 0) return;
    const whyNot = options.whyNotAsk();
    const allowed = whyNot === null ? batch : batch.filter(({ request }) => request.operation === 'close');
    for (const { request } of batch) {
      if (whyNot !== null && request.operation !== 'close') {
        settle({ type: 'unavailable', id: request.id, reason: whyNot });
      }
    }
    const message: ToThread = { type: 'requests', requests: allowed.map(({ request }) => request) };
    worker?.postMessage(
      message,
      allowed.flatMap(({ transfer }) => transfer),
    );
  }

  function send(operation: Operation, args: readonly unknown[], transfer: readonly ArrayBuffer[]): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const id = nextId++;
    pending.set(id, { resolve, reject });
    if (outgoing.length === 0) setImmediate(post);
    outgoing.push({ request: { id, operation, args }, transfer });
    if (outgoing.length >= MAX_REQUESTS_PER_MESSAGE) post();
    return promise;
  }

  function onDeath(error: Error): void {
    worker = null;
    const wasRunning = state === 'running';
    if (wasRunning) state = restarts >= MAX_RESTARTS ? 'gone' : 'restarting';
    const reason = WHY_UNAVAILABLE[state];
    const unanswered = [...pending.values()];
    pending.clear();
    outgoing = []; // the next thread must not do what was answered as not done
    for (const { reject } of unanswered) reject(new OutboxUnavailableError(reason, { cause: error }));
    if (!wasRunning) return;
    log.error({ code: 'outbox_worker_died', error: error.message, unanswered: unanswered.length }, reason);
    if (state === 'gone') giveUp(error);
    else restarting = restart();
  }

  async function restart(): Promise<void> {
    restarts++;
    try {
      await start();
      if (state === 'restarting') state = 'running';
      log.warn({ code: 'outbox_worker_restarted' }, 'the thread of the outbox runs again; all claims are free again');
    } catch (error) {
      worker = null;
      state = 'gone';
      giveUp(error instanceof Error ? error : new Error(String(error)));
    }
  }

  function giveUp(error: Error): void {
    log.fatal(
      { code: 'outbox_worker_gone', error: error.message },
      'the outbox is gone; what it had committed is on the disk, and the service must be started again',
    );
    options.onFatal(error);
  }

  async function close(): Promise<void> {
    // A thread that is just being started must not be left behind.
    if (state === 'restarting') await restarting;
    const running = worker;
    if (state === 'running' && running !== null) {
      state = 'closing';
      const ended = new Promise<void>((resolve) => running.once('exit', () => resolve()));
      // It rejects when the thread dies instead; then there is nothing left to close.
      await send('close', [], []).catch(() => undefined);
      await ended;
    }
    state = 'closed';
  }

  await start();
  state = 'running';
  return {
    get problem() {
      return state === 'running' ? null : WHY_UNAVAILABLE[state];
    },
    get isGone() {
      return state === 'gone' || state === 'closing' || state === 'closed';
    },
    ask<Name extends Operation>(
      operation: Name,
      args: Parameters<Operations[Name]>,
      transfer: readonly ArrayBuffer[] = [],
    ) {
      const promise =
        state === 'running'
          ? send(operation, args, transfer)
          : Promise.reject(new OutboxUnavailableError(WHY_UNAVAILABLE[state]));
      // The thread answers each request with its operation's result.
      return promise as ReturnType<Operations[Name]>;
    },
    close() {
      closed ??= close();
      return closed;
    },
    async kill() {
      await worker?.terminate();
    },
  };
}
