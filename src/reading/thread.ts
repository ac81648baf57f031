import { Worker } from 'node:worker_threads';
import type { Clock } from '../ground/clock.ts';
import type { Operation, Operations, Reply, Request, Settings } from './protocol.ts';

/** Starting one takes about 0.2 s and 30 MB. */
const KEPT_IDLE_MS = 60_000;

export interface ThreadOptions {
  /** In the log, and as the operating system shows it. */
  readonly name: string;
  readonly settings: Settings;
  /** Of what lives in its heap. Over it the thread dies. */
  readonly maxHeapMb: number;
  readonly clock: Clock;
  readonly log: { error(fields: object, message: string): void };
}

export interface Thread {
  /** Starts the thread where there is none, which is waited for. Null: it died before it answered. */
  ask<Op extends Operation>(
    op: Op,
    args: Operations[Op]['args'],
    transfer?: readonly ArrayBuffer[],
  ): Promise<Operations[Op]['result'] | null>;
  /** Starts the thread where there is none. Whether it is up. */
  wake(): boolean;
  /** Ends it; what it was asked has the answer null. Call when nothing is asked of it any more. */
  close(): Promise<void>;
}

type Answer = Operations[Operation]['result'] | null;

interface Running {
  readonly worker: Worker;
  isUp: boolean;
  /** Who waits for an answer, in the order of the requests. */
  readonly waiting: ((answer: Answer) => void)[];
}

/** A thread that reads and maps bodies. It is ended when nothing was asked of it for a minute. */
export function createThread({ name, settings, maxHeapMb, clock, log }: ThreadOptions): Thread {
  let running: Running | null = null;
  let usedAt = 0;
  let cancelEnd = () => {};

  function start(): Running {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: settings,
      name,
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb, maxYoungGenerationSizeMb: 24 },
    });
    worker.unref();
    const started: Running = { worker, isUp: false, waiting: [] };
    worker.on('message', (reply: Reply) => {
      if (reply === 'ready') started.isUp = true;
      else started.waiting.shift()?.(reply);
    });
    worker.on('error', (error) => {
      log.error(
        { thread: name, error: error instanceof Error ? error.name : typeof error },
        'a thread that reads bodies died, what it had is done without it',
      );
    });
    worker.on('exit', () => {
      if (running === started) running = null;
      for (const answer of started.waiting.splice(0)) answer(null);
    });
    cancelEnd();
    endWhenIdle(KEPT_IDLE_MS);
    return started;
  }

  function endWhenIdle(inMs: number): void {
    cancelEnd = clock.setTimer(inMs, () => {
      const leftMs = usedAt + KEPT_IDLE_MS - clock.now();
      if (running === null) return;
      if (running.waiting.length === 0 && (leftMs <= 0 || leftMs > KEPT_IDLE_MS)) void close();
      else endWhenIdle(Math.min(Math.max(leftMs, 1_000), KEPT_IDLE_MS));
    });
  }

  function used(): Running {
    usedAt = clock.now();
    running ??= start();
    return running;
  }

  async function close(): Promise<void> {
    cancelEnd();
    await running?.worker.terminate();
  }

  return {
    ask<Op extends Operation>(op: Op, args: Operations[Op]['args'], transfer: readonly ArrayBuffer[] = []) {
      const { worker, waiting } = used();
      const { promise, resolve } = Promise.withResolvers<Answer>();
      waiting.push(resolve);
      worker.postMessage({ op, ...args } as Request, transfer);
      // The thread answers each request by its operation's result: protocol.ts is what both sides are held to.
      return promise as Promise<Operations[Op]['result'] | null>;
    },
    wake: () => used().isUp,
    close,
  };
}
