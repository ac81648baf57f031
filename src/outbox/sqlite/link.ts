import { type TransferListItem, Worker } from 'node:worker_threads';
import type { Clock } from '../../ground/clock.ts';
import type { Logger } from '../../ground/log.ts';
import type { Commit } from '../commit.ts';
import { OutboxUnavailableError } from '../port.ts';
import { OutboxStartError } from '../start-error.ts';
import { Mailbag } from './mailbag.ts';
import type { Answer, Operation, Operations, Reply, RequestOf, WorkerSettings } from './protocol.ts';

export interface LinkOptions {
  readonly dataDir: string;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** The worker died a second time, or could not be started again. Called once. */
  readonly onFatal: (error: Error) => void;
  readonly onCommit?: (commit: Commit) => void;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

type State =
  | 'opening'
  | 'running'
  /** The worker died and the next one is being started. */
  | 'restarting'
  /** It died for good. */
  | 'gone'
  | 'closing'
  | 'closed';

const WHY_UNAVAILABLE: Record<State, string> = {
  opening: 'the outbox is being opened',
  running: 'the outbox did not answer',
  restarting: 'the outbox is being restarted after its worker died',
  gone: 'the worker of the outbox died',
  closing: 'the outbox is closing',
  closed: 'the outbox is closed',
};

const MAX_RESTARTS = 1;

/**
 * The worker makes much garbage that dies at once (messages, rows). Without a bound V8 gives it as large a nursery as a
 * whole program gets and keeps the pages for good. Memory that lives is not limited: a single put may have any size.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

/** The main thread's end of the worker: requests and their answers by id, and what happens when the worker dies. */
export class WorkerLink {
  readonly #options: LinkOptions;
  readonly #pending = new Map<number, Pending>();
  /** Pending requests that are not posted yet. */
  readonly #outgoing = new Mailbag({
    post: (requests, transfer) => this.#worker?.postMessage(requests, transfer),
    refuse: (id, error) => this.#take(id)?.reject(error),
  });
  #state: State = 'opening';
  #worker: Worker | null = null;
  #starting: Promise<string | null> | null = null;
  #closed: Promise<void> | null = null;
  #nextId = 1;
  #restarts = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Starts the first worker. Gives the new name of a damaged database, or null. Rejects with an OutboxStartError. */
  async open(): Promise<string | null> {
    const damagedFile = await this.#start();
    this.#state = 'running';
    return damagedFile;
  }

  /** Null while requests are taken, else why they are not. */
  get problem(): string | null {
    return this.#state === 'running' ? null : WHY_UNAVAILABLE[this.#state];
  }

  /** Whether no worker will answer any more. */
  get isGone(): boolean {
    return this.#state === 'gone' || this.#state === 'closing' || this.#state === 'closed';
  }

  /**
   * Rejects with an OutboxUnavailableError when there is no worker, it dies, or it could not do it; with a RangeError
   * when the request was wrong.
   */
  request<Name extends Operation>(
    op: Name,
    args: Operations[Name]['args'],
    transfer: readonly TransferListItem[] = [],
  ): Promise<Operations[Name]['result']> {
    if (this.problem !== null) return Promise.reject(new OutboxUnavailableError(this.problem));
    return this.#send(op, args, transfer);
  }

  /** Lets the worker finish what it was asked, and waits for its end. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Ends the worker as a crash would, wherever it is. */
  async kill(): Promise<void> {
    await this.#worker?.terminate();
  }

  async #close(): Promise<void> {
    // A worker that is just being started must not be left behind.
    if (this.#state === 'restarting') await this.#starting?.catch(() => undefined);
    const worker = this.#worker;
    if (this.#state === 'running' && worker !== null) {
      this.#state = 'closing';
      const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
      // It rejects when the worker dies instead; then there is nothing left to close.
      await this.#send('close', null, []).catch(() => undefined);
      await ended;
    }
    this.#state = 'closed';
  }

  #send<Name extends Operation>(
    op: Name,
    args: Operations[Name]['args'],
    transfer: readonly TransferListItem[],
  ): Promise<Operations[Name]['result']> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      // The worker answers each request by its operation's result: protocol.ts is what both sides are held to.
      const settle = (value: unknown) => resolve(value as Operations[Name]['result']);
      this.#pending.set(id, { resolve: settle, reject });
      this.#outgoing.add({ id, op, args } as RequestOf<Name>, transfer);
    });
  }

  #start(): Promise<string | null> {
    const { dataDir, maxBytes, clock } = this.#options;
    const settings: WorkerSettings = { dataDir, maxBytes, now: clock.now() };
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: settings,
      name: 'outbox',
      resourceLimits,
    });
    this.#worker = worker;
    this.#starting = new Promise((resolve, reject) => {
      let opened = false;
      let cause: Error | null = null;
      worker.on('message', (reply: Reply) => {
        if (reply.type === 'opened') {
          opened = true;
          resolve(reply.damagedFile);
        } else if (reply.type === 'open_failed') {
          cause = new OutboxStartError(reply.code, reply.message);
        } else {
          if (reply.commit !== null) this.#options.onCommit?.(reply.commit);
          for (const id of reply.nulls) this.#take(id)?.resolve(null);
          for (const answer of reply.answers) this.#answer(answer);
        }
      });
      worker.on('error', (error) => {
        cause = error instanceof Error ? error : new Error(String(error));
      });
      worker.on('exit', (code) => {
        const error = cause ?? new Error(`The worker of the outbox ended with code ${code}`);
        if (opened) this.#onDeath(error);
        else reject(error);
      });
    });
    return this.#starting;
  }

  #answer(answer: Answer): void {
    const pending = this.#take(answer.id);
    if (answer.type === 'done') pending?.resolve(answer.value);
    else if (answer.type === 'unavailable') pending?.reject(new OutboxUnavailableError(answer.reason));
    else pending?.reject(new RangeError(answer.message));
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #onDeath(error: Error): void {
    this.#worker = null;
    const wasRunning = this.#state === 'running';
    if (wasRunning) this.#state = this.#restarts >= MAX_RESTARTS ? 'gone' : 'restarting';
    const reason = WHY_UNAVAILABLE[this.#state];
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#outgoing.clear(); // the next worker must not do what was answered as not done
    for (const { reject } of pending) reject(new OutboxUnavailableError(reason, { cause: error }));
    if (!wasRunning) return;
    const { log } = this.#options;
    log.error({ code: 'outbox_worker_died', error: error.message, unanswered: pending.length }, reason);
    if (this.#state === 'gone') this.#giveUp(error);
    else void this.#restart();
  }

  async #restart(): Promise<void> {
    const { log } = this.#options;
    this.#restarts++;
    try {
      const damagedFile = await this.#start();
      this.#state = 'running';
      log.warn({ code: 'outbox_worker_restarted' }, 'the worker of the outbox runs again; all claims are free again');
      if (damagedFile !== null) logDamage(log, damagedFile);
    } catch (error) {
      this.#worker = null;
      this.#state = 'gone';
      this.#giveUp(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #giveUp(error: Error): void {
    const { log, onFatal } = this.#options;
    log.fatal(
      { code: 'outbox_worker_gone', error: error.message },
      'the outbox is gone; what it had committed is on the disk, and the service must be started again',
    );
    onFatal(error);
  }
}

export function logDamage(log: Logger, damagedFile: string): void {
  log.error(
    { code: 'outbox_damaged', damagedFile },
    'the database of the outbox was damaged; it was set aside and a fresh one took its place. ' +
      'Events that were waiting are in the damaged file: keep it',
  );
}
