import type { Understand, Understood } from '../intake/understand.ts';
import { inOneMessage, type Job, understoodOf } from './message.ts';
import type { ReadingOptions } from './reading.ts';
import { createThread } from './thread.ts';

/** A message costs as much as a body; and what is read soonest can be committed while the others are read. */
const BODIES_PER_MESSAGE = 16;
/** So that small bodies wait for no more than one or two that are large for this lane. */
const BYTES_PER_MESSAGE = 65_536;
/** Far above what such bodies become. */
const MAX_HEAP_MB = 64;

export interface SmallLane {
  readonly understand: Understand;
  /** Starts the thread where there is none. Whether it is up. */
  wake(): boolean;
  close(): Promise<void>;
}

interface WaitingJob extends Job {
  resolve(understood: Understood | Promise<Understood>): void;
}

/** A few bodies that come in one turn of the event loop go to the thread together. */
export function createSmallLane(options: ReadingOptions): SmallLane {
  const { streams, escaping, keptBytes = 0, clock, log } = options;
  const thread = createThread({
    name: 'bodies',
    settings: { streams, escaping, keptBytes },
    maxHeapMb: MAX_HEAP_MB,
    clock,
    log,
  });
  let jobs: WaitingJob[] = [];
  let bytes = 0;

  function post(): void {
    const some = jobs;
    jobs = [];
    bytes = 0;
    if (some.length > 0) void read(some);
  }

  async function read(some: readonly WaitingJob[]): Promise<void> {
    const results = await thread.ask('understand', ...inOneMessage(some));
    for (const [index, job] of some.entries()) job.resolve(understoodOf(results?.[index], job, options));
  }

  return {
    understand(body, receivedAt) {
      const { promise, resolve } = Promise.withResolvers<Understood>();
      if (jobs.length === 0) setImmediate(post);
      bytes += body.bytes.length;
      if (jobs.push({ body, receivedAt, resolve }) === BODIES_PER_MESSAGE || bytes >= BYTES_PER_MESSAGE) post();
      return promise;
    },
    wake: thread.wake,
    close: thread.close,
  };
}
