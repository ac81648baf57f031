import { Worker } from 'node:worker_threads';
import type { Logger } from '../../ground/log.ts';
import { OutboxStartError } from '../engine.ts';
import { OutboxUnavailableError } from '../port.ts';
import type { StoreEvent } from '../store.ts';
import type { FromThread, Operation, Operations, ThreadSettings, ToThread } from './worker.ts';

export interface LinkOptions {
  readonly settings: Omit<ThreadSettings, 'isSuspect'>;
  /** Gives a token for the database from Microsoft Entra. */
  readonly databaseToken: () => Promise<string>;
  readonly log: Logger;
  readonly onEvent: (event: StoreEvent) => void;
  /** A damaged database was found when the store was opened, and set aside under this name. */
  readonly onDamagedFile: (file: string) => void;
  /** Asked before each request: why nothing may be asked of the outbox now; null if it may. */
  readonly whyNotAsk: () => string | null;
  /** The thread is gone for good: the process should end, so that its supervisor starts it anew. Called once. */
  readonly onFatal: (error: Error) => void;
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

/** The main thread's end of the store thread: requests and their answers, and what happens when the thread dies. */
export class Link {
  readonly #options: LinkOptions;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #state: State = 'running';
  #worker: Worker | null = null;
  #nextId = 1;
  #hasRestarted = false;
  #isSuspect = false;
  #restarting: Promise<void> = Promise.resolve();
  #closed: Promise<void> | null = null;

  private constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Starts the thread. Rejects with an OutboxStartError. */
  static async open(options: LinkOptions): Promise<Link> {
    const link = new Link(options);
    await link.#start();
    return link;
  }

  /** Whether no thread will answer any more. */
  get isGone(): boolean {
    return this.#state === 'gone' || this.#state === 'closed';
  }

  /**
   * Rejects with an OutboxUnavailableError if there is no thread, it dies, or it could not do it now; with a RangeError
   * if the request was wrong. Buffers of `transfer` are not usable any more.
   */
  ask<Name extends Operation>(
    operation: Name,
    args: Parameters<Operations[Name]>,
    transfer?: readonly ArrayBuffer[],
  ): ReturnType<Operations[Name]> {
    const whyNot = this.#state === 'running' ? this.#options.whyNotAsk() : WHY_UNAVAILABLE[this.#state];
    const answer =
      whyNot === null ? this.#send(operation, args, transfer) : Promise.reject(new OutboxUnavailableError(whyNot));
    // The thread answers each request with its operation's result.
    return answer as ReturnType<Operations[Name]>;
  }

  /** Lets the thread finish what it was asked, and waits for its end. Twice does nothing. */
  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  /** Ends the thread as a crash would, wherever it is. For tests. */
  async kill(): Promise<void> {
    await this.#worker?.terminate();
  }

  #start(): Promise<void> {
    const workerData: ThreadSettings = { ...this.#options.settings, isSuspect: this.#isSuspect };
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData, name: 'outbox', resourceLimits });
    this.#worker = worker;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let isOpen = false;
    let cause: Error | null = null;
    worker.on('message', (message: FromThread) => {
      if (message.type === 'opened') {
        isOpen = true;
        if (message.damagedFile !== null) this.#options.onDamagedFile(message.damagedFile);
        resolve();
      } else {
        this.#hear(message);
      }
    });
    worker.on('error', (error) => {
      cause = toError(error);
      // An error comes over with its name and its members, and without its class.
      const { code, name, problem, fix } = cause as OutboxStartError;
      if (name === 'OutboxStartError') cause = new OutboxStartError(code, problem, fix);
    });
    worker.on('exit', (code) => {
      const error = cause ?? new Error(`The thread of the outbox ended with code ${code}`);
      if (isOpen) this.#onDeath(error);
      else reject(error);
    });
    return promise;
  }

  #hear(message: Exclude<FromThread, { type: 'opened' }>): void {
    switch (message.type) {
      case 'done':
        this.#answered(message.id)?.resolve(message.value);
        return;
      case 'failed': {
        const { id, reason, isDefect } = message;
        this.#answered(id)?.reject(isDefect ? new RangeError(reason) : new OutboxUnavailableError(reason));
        return;
      }
      case 'log':
        this.#options.log[message.level](message.fields, message.message);
        return;
      case 'token_wanted':
        this.#options.databaseToken().then(
          (token) => this.#post({ type: 'token', token, problem: '' }),
          (error: unknown) => this.#post({ type: 'token', token: null, problem: toError(error).message }),
        );
        return;
      default:
        if (message.type === 'damaged') this.#isSuspect = true;
        this.#options.onEvent(message);
    }
  }

  #answered(id: number): PromiseWithResolvers<unknown> | undefined {
    const asked = this.#pending.get(id);
    this.#pending.delete(id);
    return asked;
  }

  #send(operation: Operation, args: readonly unknown[], transfer?: readonly ArrayBuffer[]): Promise<unknown> {
    const asked = Promise.withResolvers<unknown>();
    const id = this.#nextId++;
    this.#pending.set(id, asked);
    this.#post({ type: 'request', id, operation, args }, transfer);
    return asked.promise;
  }

  #post(message: ToThread, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  #onDeath(error: Error): void {
    const wasRunning = this.#state === 'running';
    if (this.#state === 'running') this.#state = this.#hasRestarted ? 'gone' : 'restarting';
    const reason = WHY_UNAVAILABLE[this.#state];
    const unanswered = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of unanswered) reject(new OutboxUnavailableError(reason, { cause: error }));
    if (!wasRunning) return;
    const fields = { code: 'outbox_worker_died', error: error.message, unanswered: unanswered.length };
    this.#options.log.error(fields, reason);
    if (this.#hasRestarted) this.#giveUp(error);
    else this.#restarting = this.#restart();
  }

  async #restart(): Promise<void> {
    this.#hasRestarted = true;
    try {
      await this.#start();
      this.#state = 'running';
      const fields = { code: 'outbox_worker_restarted' };
      this.#options.log.warn(fields, 'the thread of the outbox runs again; all claims are free again');
    } catch (error) {
      this.#giveUp(toError(error));
    }
  }

  #giveUp(error: Error): void {
    this.#state = 'gone';
    this.#options.log.fatal(
      { code: 'outbox_worker_gone', error: error.message },
      'the outbox is gone; what it had committed is on the disk, and the service must be started again',
    );
    this.#options.onFatal(error);
  }

  async #finish(): Promise<void> {
    // A thread that is just being started must not be left running.
    if (this.#state === 'restarting') await this.#restarting;
    if (this.#state === 'running') {
      this.#state = 'closed';
      const ended = new Promise<void>((resolve) => this.#worker?.once('exit', () => resolve()));
      // It rejects when the thread dies instead; then there is nothing left to close.
      await this.#send('close', []).catch(() => undefined);
      await ended;
    }
    this.#state = 'closed';
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
