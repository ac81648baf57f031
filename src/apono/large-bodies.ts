import { Worker } from 'node:worker_threads';
import type { Clock } from '../clock.ts';
import type { ReceivedBody } from '../http/receiver.ts';
import { type UnderstandOptions, type Understood, understand } from './understand.ts';

/** Starting it takes about 0.2 s and 30 MB. */
const KEPT_IDLE_MS = 60_000;

export type LargeBodiesSettings = Pick<UnderstandOptions, 'streams' | 'escaping'>;

export interface LargeBodyRequest {
  readonly id: number;
  readonly body: ReceivedBody;
  readonly receivedAt: number;
}

export interface LargeBodyReply {
  readonly id: number;
  readonly understood: Understood;
  /** What the thread would have logged. */
  readonly logged: readonly { readonly fields: object; readonly message: string }[];
}

export interface LargeBodies {
  /** As `understand` of understand.ts, in a thread of its own. */
  understand(body: ReceivedBody, receivedAt: number): Promise<Understood>;
  /** Ends the thread; call when no body is being read any more. */
  close(): Promise<void>;
}

export interface LargeBodiesOptions extends UnderstandOptions {
  readonly clock: Clock;
}

/**
 * Reads large bodies in a thread, so that one of them, or millions of empty lists in one, hold up nobody else's webhook.
 * The thread knows the kinds of the registry only. It is started with the first large body and ended when none has come
 * for a while; should it die, what it had is read here.
 */
export function createLargeBodies(options: LargeBodiesOptions): LargeBodies {
  const { clock, log } = options;
  const waiting = new Map<number, (understood: Understood | null) => void>();
  let worker: Worker | null = null;
  let nextId = 1;
  let cancelEnd = () => {};

  function start(): Worker {
    const { streams, escaping } = options;
    const workerData: LargeBodiesSettings = { streams, escaping };
    const started = new Worker(new URL('./large-bodies-worker.ts', import.meta.url), {
      workerData,
      name: 'large bodies',
    });
    started.unref();
    started.on('message', ({ id, understood, logged }: LargeBodyReply) => {
      for (const { fields, message } of logged) log.error(fields, message);
      settle(id, understood);
    });
    started.on('error', (error) => {
      const name = error instanceof Error ? error.name : typeof error;
      log.error({ error: name }, 'the thread for large bodies died; they are read without it meanwhile');
    });
    started.on('exit', () => {
      if (worker === started) worker = null;
      for (const id of [...waiting.keys()]) settle(id, null);
    });
    return started;
  }

  function settle(id: number, understood: Understood | null): void {
    const resolve = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) cancelEnd = clock.setTimer(KEPT_IDLE_MS, () => void close());
    resolve?.(understood);
  }

  async function close(): Promise<void> {
    cancelEnd();
    await worker?.terminate();
  }

  return {
    async understand(body, receivedAt) {
      cancelEnd();
      worker ??= start();
      const id = nextId++;
      // A copy of its own: the body may be a part of a larger buffer, and is needed here should it be refused.
      const bytes = new Uint8Array(body.bytes);
      const request: LargeBodyRequest = { id, body: { ...body, bytes }, receivedAt };
      const understood = await new Promise<Understood | null>((resolve) => {
        waiting.set(id, resolve);
        worker?.postMessage(request, [bytes.buffer]);
      });
      return understood ?? understand(body, receivedAt, options);
    },
    close,
  };
}
