import process from 'node:process';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Config } from '../../config/config.ts';
import { systemClock as clock } from '../../ground/clock.ts';
import type { UnderstandOptions } from '../../intake/understand.ts';
import { kinds } from '../../kinds/registry.ts';
import { CLOSE_LIMIT_MS, within } from '../door.ts';
import { openStore, type StoreLog } from '../open-store.ts';
import { OutboxUnavailableError, type Queue, type SharedPace } from '../port.ts';
import { createReceiver, type Receiver } from '../receive.ts';
import type { OutboxRecords } from '../records.ts';
import { keepPruning } from '../retention.ts';
import type { Store, StoreEvent } from '../store.ts';

export interface ThreadSettings extends Pick<UnderstandOptions, 'streams' | 'escaping'> {
  readonly outbox: Config['outbox'];
  /** The thread before it met a damaged page. */
  readonly isSuspect: boolean;
}

/** What the main thread asks. `close` comes last: after its answer the main thread ends this one. */
export type Operations = Queue & OutboxRecords & SharedPace & Receiver & Pick<Store, 'close'>;

export type Operation = keyof Operations;

export interface Request {
  readonly id: number;
  readonly operation: Operation;
  readonly args: readonly unknown[];
}

export type ToThread =
  | { readonly type: 'requests'; readonly requests: readonly Request[] }
  /** The answer to `token_wanted`; null: there is none, and `problem` says why. */
  | { readonly type: 'token'; readonly token: string | null; readonly problem: string };

/** A message is a list of these. */
export type FromThread =
  | { readonly type: 'done'; readonly id: number; readonly value: unknown }
  /** `isDefect`: the caller's fault, a RangeError there; otherwise the store could not do it now. */
  | { readonly type: 'failed'; readonly id: number; readonly reason: string; readonly isDefect: boolean }
  | { readonly type: 'opened'; readonly damagedFile: string | null }
  | { readonly type: 'log'; readonly level: keyof StoreLog; readonly fields: object; readonly message: string }
  | { readonly type: 'token_wanted' }
  | StoreEvent;

/** Reads bodies and has the database, so that neither a large body nor a slow sync holds up the service's event loop. */
async function serve(port: MessagePort, { outbox, streams, escaping, isSuspect }: ThreadSettings): Promise<void> {
  let operations: Operations;
  let wanted: PromiseWithResolvers<string> | null = null;
  const running = new Set<Promise<void>>();
  let outgoing: FromThread[] = [];

  const logAt = (level: keyof StoreLog) => (fields: object, message: string) =>
    say({ type: 'log', level, fields, message });
  const log = { debug: logAt('debug'), info: logAt('info'), warn: logAt('warn'), error: logAt('error') };

  /** What is said in one turn goes in one message: a commit answers many requests. */
  function say(message: FromThread): void {
    if (outgoing.length === 0) {
      process.nextTick(() => {
        port.postMessage(outgoing);
        outgoing = [];
      });
    }
    outgoing.push(message);
    // What was tried in this turn is answered first. The next thread checks the database, and sets it aside if need be.
    if (message.type !== 'trouble' || !message.isDamage) return;
    setImmediate(() => {
      throw new Error('the database is damaged');
    });
  }

  // Listens before the database is open, which may need a token. Nothing else comes before the thread says that it opened.
  port.on('message', (message: ToThread) => {
    if (message.type === 'token') return hearToken(message);
    for (const request of message.requests) {
      const run = answer(request).finally(() => running.delete(run));
      running.add(run);
    }
  });

  async function answer({ id, operation, args }: Request): Promise<void> {
    try {
      const act = operations[operation] as (...given: readonly unknown[]) => Promise<unknown>;
      say({ type: 'done', id, value: await act(...args) });
    } catch (error) {
      const isDefect = !(error instanceof OutboxUnavailableError);
      say({ type: 'failed', id, reason: isDefect ? String(error) : error.message, isDefect });
    }
  }

  /** The main thread has the credential. */
  function databaseToken(): Promise<string> {
    if (wanted === null) say({ type: 'token_wanted' });
    wanted ??= Promise.withResolvers();
    return wanted.promise;
  }

  function hearToken({ token, problem }: Extract<ToThread, { type: 'token' }>): void {
    if (token === null) wanted?.reject(new Error(problem));
    else wanted?.resolve(token);
    wanted = null;
  }

  const { store, ...opened } = await openStore({ outbox, databaseToken, clock, log, isSuspect, onEvent: say });
  const stopPruning = keepPruning(store, { dedupDays: outbox.dedupDays, clock });
  operations = {
    ...store,
    ...createReceiver(store, { kinds, streams, escaping, log }),
    ...opened.engine.pace,
    async close() {
      stopPruning();
      // A body that came before is still on its way through intake to the store.
      await within(Promise.allSettled(running), CLOSE_LIMIT_MS);
      await store.close();
    },
  };
  say({ type: 'opened', damagedFile: opened.damagedFile });
}

// If it cannot be opened the thread dies of its OutboxStartError, which the main thread gets.
if (parentPort !== null) void serve(parentPort, workerData as ThreadSettings);
