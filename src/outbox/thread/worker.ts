import { setTimeout as pause } from 'node:timers/promises';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../ground/clock.ts';
import { kinds } from '../../kinds/registry.ts';
import { openStore } from '../open-store.ts';
import { OutboxUnavailableError } from '../port.ts';
import { createReceiver } from '../receive.ts';
import { keepPruning } from '../retention.ts';
import { ownPace } from '../shared-pace.ts';
import { OutboxStartError } from '../start-error.ts';
import type { Answer, FromThread, LogLine, Operations, Request, ThreadSettings, ToThread } from './protocol.ts';

/** What was asked before is finished first, but a database that does not answer must not hold up the end of the process. */
const CLOSE_LIMIT_MS = 500;

/** The thread that reads bodies and has the database, so that neither a large body nor a slow sync holds up the event loop of the service. */
async function serve(port: MessagePort, settings: ThreadSettings): Promise<void> {
  const say = (message: FromThread) => port.postMessage(message);
  const logAt = (level: LogLine['level']) => (fields: object, message: string) =>
    say({ type: 'log', level, fields, message });
  const log = { debug: logAt('debug'), info: logAt('info'), warn: logAt('warn'), error: logAt('error') };
  const tokens = createTokens(() => say({ type: 'token_wanted' }));
  const answers = createAnswers((batch) => say({ type: 'answers', answers: batch }));
  let operations: Operations | null = null;
  const running = new Set<Promise<void>>();
  let isDamaged = false;

  // Listens before the database is open, which may need a token.
  port.on('message', (message: ToThread) => {
    if (message.type === 'token') tokens.receive(message.token, message.problem);
    else for (const request of message.requests) track(run(request));
  });

  function track(request: Promise<void>): void {
    running.add(request);
    void request.finally(() => running.delete(request));
  }

  async function run({ id, operation, args }: Request): Promise<void> {
    try {
      if (operations === null) throw new OutboxUnavailableError('the outbox is being opened');
      const act = operations[operation] as (...given: readonly unknown[]) => Promise<unknown>;
      answers.add({ type: 'done', id, value: await act(...args) });
    } catch (error) {
      answers.add(toAnswer(id, error));
    }
    if (operation === 'close') answers.afterFlush(() => port.close());
    else if (isDamaged) endDamaged();
  }

  /** What was asked before is answered; the next thread checks the database, and sets it aside if need be. */
  function endDamaged(): void {
    answers.afterFlush(() => {
      throw new Error('the database is damaged');
    });
  }

  const { outbox, streams, escaping } = settings;
  const { store, pace, damagedFile } = await openStore({
    outbox,
    databaseToken: tokens.get,
    clock: systemClock,
    log,
    isSuspect: settings.isSuspect,
    onEvent(event) {
      if (event.type === 'damaged') isDamaged = true;
      say({ type: 'event', event });
    },
  });
  const stopPruning = keepPruning({ store, dedupDays: outbox.dedupDays, clock: systemClock });
  operations = {
    ...store,
    ...createReceiver(store, { kinds, streams, escaping, log }),
    ...(pace ?? ownPace),
    async close() {
      stopPruning();
      // A body that came before is still on its way through intake to the store.
      await Promise.race([Promise.all(running), pause(CLOSE_LIMIT_MS, undefined, { ref: false })]);
      await store.close();
    },
  };
  say({ type: 'opened', damagedFile });
}

function toAnswer(id: number, error: unknown): Answer {
  if (error instanceof OutboxUnavailableError) return { type: 'unavailable', id, reason: error.message };
  return { type: 'defect', id, message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}

/** Answers that are ready in the same turn of the event loop go in one message. */
function createAnswers(post: (answers: readonly Answer[]) => void) {
  let waiting: Answer[] = [];

  function flush(): void {
    const batch = waiting;
    waiting = [];
    if (batch.length > 0) post(batch);
  }

  return {
    add(answer: Answer): void {
      // After the promises that are settled now, and before the next commit.
      if (waiting.length === 0) process.nextTick(flush);
      waiting.push(answer);
    },
    afterFlush: (act: () => void) => void setImmediate(act),
  };
}

/** Tokens for PostgreSQL come from the main thread, which has the credential. */
function createTokens(want: () => void) {
  let wanted: PromiseWithResolvers<string> | null = null;
  return {
    get(): Promise<string> {
      if (wanted === null) {
        wanted = Promise.withResolvers<string>();
        want();
      }
      return wanted.promise;
    },
    receive(token: string | null, problem: string): void {
      if (token === null) wanted?.reject(new Error(problem));
      else wanted?.resolve(token);
      wanted = null;
    },
  };
}

if (parentPort !== null) {
  const port = parentPort;
  serve(port, workerData as ThreadSettings).catch((error: unknown) => {
    if (!(error instanceof OutboxStartError)) throw error;
    const { code, message } = error;
    port.postMessage({ type: 'open_failed', code, message } satisfies FromThread);
    port.close();
  });
}
