import { Worker } from 'node:worker_threads';
import type { Logger } from '../../ground/log.ts';
import { OutboxStartError } from '../engine.ts';
import type { OpenStoreOptions } from '../open-store.ts';
import { OutboxUnavailableError } from '../port.ts';
import type { FromThread, Operation, Operations, Request, ThreadSettings, ToThread } from './worker.ts';

export interface LinkOptions extends Pick<OpenStoreOptions, 'databaseToken' | 'onEvent'> {
  readonly settings: Omit<ThreadSettings, 'isSuspect'>;
  readonly log: Logger;
  /** A damaged database was found when the store was opened, and set aside under this name. */
  readonly onDamagedFile: (file: string) => void;
  /** Asked before each message: why nothing may be asked of the outbox now; null if it may. */
  readonly whyNotAsk: () => string | null;
  /** The thread is gone for good: the process should end, so that its supervisor starts it anew. Called once. */
  readonly onFatal: (error: Error) => void;
}

/** `starting`: for the first time, or anew after it died. `gone`: it died for good. */
type State = 'starting' | 'running' | 'gone' | 'closed';

const WHY_UNAVAILABLE: Record<Exclude<State, 'running'>, string> = {
  starting: 'the outbox is being restarted after its thread died',
  gone: 'the thread of the outbox died',
  closed: 'the outbox is closed',
};

/**
 * The thread makes much garbage that dies at once (bodies, rows). Without a bound V8 gives it as large a nursery as a
 * whole program gets, and keeps the pages. Memory that lives is not limited: a single body may need much.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 16 };

/** So that the thread has something to do while the main thread takes the other requests of a burst. */
const MAX_REQUESTS_PER_MESSAGE = 8;

/**
 * Starts the store thread. The main thread's end of it: requests and their answers, and what happens when the thread dies.
 * Rejects with an OutboxStartError.
 */
export async function openLink(options: LinkOptions) {
  const { settings, databaseToken, log, onEvent, onDamagedFile, whyNotAsk, onFatal } = options;
  const pending = new Map<number, PromiseWithResolvers<unknown>>();
  /** Asked in this turn of the event loop, and not posted yet. */
  let outgoing: Request[] = [];
  let state: State = 'starting';
  let worker: Worker;
  let opening: PromiseWithResolvers<void>;
  let nextId = 1;
  let isSuspect = false;
  /** The one restart; null: there was none yet. */
  let restarting: Promise<void> | null = null;

  async function start(): Promise<void> {
    const workerData: ThreadSettings = { ...settings, isSuspect };
    worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData, name: 'outbox', resourceLimits });
    opening = Promise.withResolvers();
    let cause: Error | null = null;
    worker.on('message', (messages: readonly FromThread[]) => {
      for (const message of messages) hear(message);
    });
    worker.on('error', (error) => {
      // An error comes over with its name and its members, and without its class.
      const { code, name, problem, fix } = error as OutboxStartError;
      cause = name === 'OutboxStartError' ? new OutboxStartError(code, problem, fix) : (error as Error);
    });
    worker.on('exit', (code) => onDeath(cause ?? new Error(`The thread of the outbox ended with code ${code}`)));
    await opening.promise;
    state = 'running';
    if (restarting === null) return;
    log.warn({ code: 'outbox_worker_restarted' }, 'the thread of the outbox runs again; all claims are free again');
  }

  function hear(message: FromThread): void {
    switch (message.type) {
      case 'opened':
        if (message.damagedFile !== null) onDamagedFile(message.damagedFile);
        opening.resolve();
        return;
      case 'done':
        pending.get(message.id)?.resolve(message.value);
        pending.delete(message.id);
        return;
      case 'failed': {
        const { id, isDefect, reason } = message;
        pending.get(id)?.reject(isDefect ? new RangeError(reason) : new OutboxUnavailableError(reason));
        pending.delete(id);
        return;
      }
      case 'log':
        log[message.level](message.fields, message.message);
        return;
      case 'token_wanted':
        databaseToken().then(
          (token) => post({ type: 'token', token, problem: '' }),
          ({ message: problem }: Error) => post({ type: 'token', token: null, problem }),
        );
        return;
      default:
        if (message.type === 'trouble' && message.isDamage) isSuspect = true;
        onEvent(message);
    }
  }

  /** What is asked in one turn of the event loop goes in one message, or a few of them. */
  function send(operation: Operation, args: readonly unknown[]): Promise<unknown> {
    const asked = Promise.withResolvers<unknown>();
    const id = nextId++;
    pending.set(id, asked);
    if (outgoing.length === 0) setImmediate(postRequests);
    if (outgoing.push({ id, operation, args }) >= MAX_REQUESTS_PER_MESSAGE) postRequests();
    return asked.promise;
  }

  function postRequests(): void {
    const requests = outgoing;
    outgoing = [];
    if (requests.length > 0) post({ type: 'requests', requests });
  }

  function post(message: ToThread): void {
    worker.postMessage(message);
  }

  function onDeath(error: Error): void {
    // This does nothing if the thread had opened.
    opening.reject(error);
    const wasRunning = state === 'running';
    if (state === 'running') state = restarting === null ? 'starting' : 'gone';
    const reason = WHY_UNAVAILABLE[state];
    const unanswered = [...pending.values()];
    pending.clear();
    // The next thread must not do what is answered as not done.
    outgoing = [];
    for (const { reject } of unanswered) reject(new OutboxUnavailableError(reason, { cause: error }));
    if (!wasRunning) return;
    const fields = { code: 'outbox_worker_died', error: error.message, unanswered: unanswered.length };
    log.error(fields, reason);
    if (restarting === null) restarting = start().catch(giveUp);
    else giveUp(error);
  }

  function giveUp(error: Error): void {
    state = 'gone';
    log.fatal(
      { code: 'outbox_worker_gone', error: error.message },
      'the outbox is gone; what it had committed is on the disk, and the service must be started again',
    );
    onFatal(error);
  }

  await start();
  return {
    /** Whether no thread will answer any more. */
    isGone: (): boolean => state === 'gone' || state === 'closed',

    /**
     * Rejects with an OutboxUnavailableError if there is no thread, it dies, or it could not do it now; with a RangeError
     * if the request was wrong.
     */
    ask<Name extends Operation>(operation: Name, args: Parameters<Operations[Name]>): ReturnType<Operations[Name]> {
      const whyNot = state !== 'running' ? WHY_UNAVAILABLE[state] : outgoing.length > 0 ? null : whyNotAsk();
      const answer = whyNot === null ? send(operation, args) : Promise.reject(new OutboxUnavailableError(whyNot));
      // The thread answers each request with its operation's result.
      return answer as ReturnType<Operations[Name]>;
    },

    /** Lets the thread finish what it was asked, and ends it. Twice does nothing. */
    async close(): Promise<void> {
      // A thread that is just being started must not be left running.
      if (state === 'starting') await restarting;
      if (state === 'running') {
        state = 'closed';
        // It rejects when the thread dies instead; then there is nothing left to close.
        await send('close', []).catch(() => undefined);
        await worker.terminate();
      }
      state = 'closed';
    },
  };
}
