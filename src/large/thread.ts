import { Worker } from 'node:worker_threads';
import { type UnderstandOptions, type Understood, understand } from '../apono/understand.ts';
import type { Clock } from '../clock.ts';
import type { ReceivedBody } from '../http/receiver.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import { planStored, type StoredEvent } from '../kinds/plan-stored.ts';
import type { RowRange } from '../outbox/port.ts';
import type { RowText } from '../sentinel/row.ts';
import type { Operation, Operations, Request, Settings } from './protocol.ts';

/**
 * A body of this size takes milliseconds, and tens of them when it is made for that: with one and more, others would
 * notice. Below it the way to the thread and back costs more than it spares.
 */
export const LARGE_BODY_BYTES = 131_072;

/** Starting it takes about 0.2 s and 30 MB. */
const KEPT_IDLE_MS = 60_000;
/** Of the largest body of the worst shape, which holds two million empty lists, with room. In MB. */
const resourceLimits = { maxOldGenerationSizeMb: 320, maxYoungGenerationSizeMb: 24 };
/** Of rows in one message: as much as others may wait for. */
const ROWS_BYTES = 262_144;

export interface LargeBodies {
  /** As `understand` of apono/understand.ts; a body that is not large is read here, too. */
  understand(body: ReceivedBody, receivedAt: number): Promise<Understood>;
  /** As the rows of `planStored`, some at a time. Throws what mapping them throws. */
  rows(kind: WebhookKind, event: StoredEvent, range: RowRange): AsyncIterable<Iterable<RowText>>;
  /** Ends the thread; call when nothing is asked of it any more. */
  close(): Promise<void>;
}

export interface LargeBodiesOptions extends UnderstandOptions {
  readonly clock: Clock;
}

interface Prepared<Op extends Operation> {
  readonly args: Operations[Op]['args'];
  readonly transfer?: readonly ArrayBuffer[];
}

interface Job {
  /** Called when it is its turn. */
  prepare(): { readonly request: Request; readonly transfer: readonly ArrayBuffer[] };
  resolve(result: Operations[Operation]['result'] | null): void;
}

/**
 * Reads and maps large bodies in a thread, so that one of them, or millions of empty lists in one, hold up nobody else's
 * webhook. The thread knows the kinds of the registry only. It is started with the first large body and ended when none
 * has come for a while; should it die, what was asked of it is done here.
 */
export function createLargeBodies(options: LargeBodiesOptions): LargeBodies {
  const { clock, log } = options;
  const queue: Job[] = [];
  let current: Job | null = null;
  let worker: Worker | null = null;
  let cancelEnd = () => {};

  function start(): Worker {
    const { streams, escaping } = options;
    const workerData: Settings = { streams, escaping };
    const url = new URL('./worker.ts', import.meta.url);
    const started = new Worker(url, { workerData, name: 'large bodies', resourceLimits });
    started.unref();
    started.on('message', finish);
    started.on('error', (error) => {
      const name = error instanceof Error ? error.name : typeof error;
      log.error({ error: name }, 'the thread for large bodies died, what it had is done without it');
    });
    started.on('exit', () => {
      worker = null;
      finish(null);
    });
    return started;
  }

  function finish(result: Operations[Operation]['result'] | null): void {
    current?.resolve(result);
    current = null;
    startNext();
  }

  /** One at a time: what waits in a thread's mailbox would be a copy of each body that waits. */
  function startNext(): void {
    if (current !== null) return;
    cancelEnd();
    current = queue.shift() ?? null;
    if (current === null) {
      if (worker !== null) cancelEnd = clock.setTimer(KEPT_IDLE_MS, () => void close());
      return;
    }
    const { request, transfer } = current.prepare();
    worker ??= start();
    worker.postMessage(request, transfer);
  }

  /** Null: the thread died. */
  function ask<Op extends Operation>(op: Op, prepare: () => Prepared<Op>): Promise<Operations[Op]['result'] | null> {
    const { promise, resolve } = Promise.withResolvers<Operations[Operation]['result'] | null>();
    queue.push({
      resolve,
      prepare() {
        const { args, transfer = [] } = prepare();
        return { request: { op, ...args } as Request, transfer };
      },
    });
    startNext();
    // The thread answers each request by its operation's result: protocol.ts is what both sides are held to.
    return promise as Promise<Operations[Op]['result'] | null>;
  }

  async function close(): Promise<void> {
    cancelEnd();
    await worker?.terminate();
  }

  return {
    async understand(body, receivedAt) {
      if (body.bytes.length <= LARGE_BODY_BYTES) return understand(body, receivedAt, options);
      const result = await ask('understand', () => {
        // A copy of its own: the body may be a part of a larger buffer, and is needed here should it be refused.
        const bytes = new Uint8Array(body.bytes);
        return { args: { body: { ...body, bytes }, receivedAt }, transfer: [bytes.buffer] };
      });
      if (result === null) return understand(body, receivedAt, options);
      for (const fields of result.mappingFailures) log.error(fields, 'mapping failed');
      return result.understood;
    },

    async *rows(kind, event, range) {
      const { eventId, body, meta, rowCount } = event;
      const [, to] = range;
      let [from] = range;
      let sent: StoredEvent | null = null;
      while (from < to) {
        const args: Operations['rows']['args'] = { eventId, event: sent, range: [from, to], maxBytes: ROWS_BYTES };
        const result: Operations['rows']['result'] | null = await ask('rows', () => ({ args }));
        if (result === null) {
          yield planStored(kind, event).rows([from, to]);
          return;
        }
        const isMissing: boolean = 'missing' in result;
        sent = isMissing ? { eventId, kind: kind.name, body, meta, rowCount } : null;
        if ('missing' in result) continue;
        from += result.rows.length;
        yield result.rows;
        if ('failed' in result) throw Object.assign(new Error('mapping failed'), { name: result.failed });
      }
    },

    close,
  };
}
