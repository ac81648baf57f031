import { Worker } from 'node:worker_threads';
import type { Logger } from '../../ground/log.ts';
import { OutboxStartError } from '../engine.ts';
import { OutboxUnavailableError } from '../port.ts';
import type { StoreEvent } from '../store.ts';
import type { FromThread, Operation, Operations, ThreadSettings, ToThread } from './worker.ts';

export interface LinkOptions {
  readonly settings: Omit<ThreadSettings, 'isSuspect'>;
  readonly databaseToken: () => Promise<string>;
  readonly log: Logger;
  readonly onEvent: (event: StoreEvent) => void;
  /** A damaged database was found when the store was opened, and set aside under this name. */
  readonly onDamagedFile: (file: string) => void;
  /** Asked before each request: why nothing may be asked of the outbox now; null if it may. */
  readonly whyNotAsk: () => string | null;
  /** The thread died a second time, or could not be started again. Called once. */
  readonly onFatal: (error: Error) => void;
}

/** The main thread's end of the store thread: requests and their answers, and what happens when the thread dies. */
export interface Link {
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

/** `restarting`: the thread died and the next one is being started. `gone`: it died for good. */
type State = 'running' | 'restarting' | 'gone' | 'closed';

const WHY_UNAVAILABLE: Record<Exclude<State, 'running'>, string> = {
  restarting: 'the outbox is being restarted after its thread died',
  gone: 'the thread of the outbox died',
  closed: 'the outbox is closed',
};

/**
 * The thread makes much garbage that dies at once (bodies, rows). Without a bound V8 gives it as large a nursery as a
 * whole program gets, and keeps the pages. Memory that lives is not limited: a single body may need much.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 16 };

/** Starts the thread. Rejects with an OutboxStartError. */
export async function openLink(options: LinkOptions): Promise<Link> {
  const { log } = options;
  const pending = new Map<number, PromiseWithResolvers<unknown>>();
  let state: State = 'running';
  let worker: Worker;
  let nextId = 1;
  let hasRestarted = false;
  let isSuspect = false;
  let restarting: Promise<void> = Promise.resolve();
  let closed: Promise<void> | null = null;

  function start(): Promise<void> {
    const workerData: ThreadSettings = { ...options.settings, isSuspect };
    const started = new Worker(new URL('./worker.ts', import.meta.url), { workerData, name: 'outbox', resourceLimits });
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
          hear(message);
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

  function hear(message: Exclude<FromThread, { type: 'opened' | 'open_failed' }>): void {
    switch (message.type) {
      case 'done':
        answered(message.id)?.resolve(message.value);
        return;
      case 'unavailable':
        answered(message.id)?.reject(new OutboxUnavailableError(message.reason));
        return;
      case 'defect':
        answered(message.id)?.reject(new RangeError(message.message));
        return;
      case 'log':
        log[message.level](message.fields, message.message);
        return;
      case 'token_wanted':
        options.databaseToken().then(
          (token) => post({ type: 'token', token, problem: '' }),
          (error: unknown) =>
            post({ type: 'token', token: null, problem: error instanceof Error ? error.message : String(error) }),
        );
        return;
      default:
        if (message.type === 'damaged') isSuspect = true;
        options.onEvent(message);
    }
  }

  function answered(id: number): PromiseWithResolvers<unknown> | undefined {
    const asked = pending.get(id);
    pending.delete(id);
    return asked;
  }

  function post(message: ToThread, transfer: readonly ArrayBuffer[] = []): void {
    worker.postMessage(message, transfer);
  }

  function send(operation: Operation, args: readonly unknown[], transfer?: readonly ArrayBuffer[]): Promise<unknown> {
    const asked = Promise.withResolvers<unknown>();
    const id = nextId++;
    pending.set(id, asked);
    post({ type: 'request', id, operation, args }, transfer);
    return asked.promise;
  }

  function onDeath(error: Error): void {
    const wasRunning = state === 'running';
    if (state === 'running') state = hasRestarted ? 'gone' : 'restarting';
    const reason = WHY_UNAVAILABLE[state];
    const unanswered = [...pending.values()];
    pending.clear();
    for (const { reject } of unanswered) reject(new OutboxUnavailableError(reason, { cause: error }));
    if (!wasRunning) return;
    log.error({ code: 'outbox_worker_died', error: error.message, unanswered: unanswered.length }, reason);
    if (hasRestarted) giveUp(error);
    else restarting = restart();
  }

  async function restart(): Promise<void> {
    hasRestarted = true;
    try {
      await start();
      state = 'running';
      log.warn({ code: 'outbox_worker_restarted' }, 'the thread of the outbox runs again; all claims are free again');
    } catch (error) {
      giveUp(error instanceof Error ? error : new Error(String(error)));
    }
  }

  function giveUp(error: Error): void {
    state = 'gone';
    log.fatal(
      { code: 'outbox_worker_gone', error: error.message },
      'the outbox is gone; what it had committed is on the disk, and the service must be started again',
    );
    options.onFatal(error);
  }

  async function close(): Promise<void> {
    // A thread that is just being started must not be left running.
    if (state === 'restarting') await restarting;
    if (state === 'running') {
      state = 'closed';
      const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
      // It rejects when the thread dies instead; then there is nothing left to close.
      await send('close', []).catch(() => undefined);
      await ended;
    }
    state = 'closed';
  }

  await start();
  return {
    get isGone() {
      return state === 'gone' || state === 'closed';
    },
    ask<Name extends Operation>(
      operation: Name,
      args: Parameters<Operations[Name]>,
      transfer?: readonly ArrayBuffer[],
    ) {
      const whyNot = state === 'running' ? options.whyNotAsk() : WHY_UNAVAILABLE[state];
      const answer =
        whyNot === null ? send(operation, args, transfer) : Promise.reject(new OutboxUnavailableError(whyNot));
      // The thread answers each request with its operation's result.
      return answer as ReturnType<Operations[Name]>;
    },
    close() {
      closed ??= close();
      return closed;
    },
    async kill() {
      await worker.terminate();
    },
  };
}
