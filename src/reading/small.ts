import { type Understand, type Understood, understand } from '../apono/understand.ts';
import { inOneMessage, type Job, understoodOf } from './message.ts';
import type { ReadingOptions } from './reading.ts';
import { createThread } from './thread.ts';

/** A message costs as much as a body; and what is read soonest can be committed while the others are read. */
const BODIES_PER_MESSAGE = 4;

export interface SmallLane {
  readonly understand: Understand;
  /** Starts the thread where there is none. */
  isUp(): boolean;
  close(): Promise<void>;
}

interface WaitingJob extends Job {
  resolve(understood: Understood | Promise<Understood>): void;
}

/** A few bodies that come in one turn of the event loop go to the thread together. */
export function createSmallLane(options: ReadingOptions): SmallLane {
  const { streams, escaping, keptBytes, clock, log } = options;
  const settings = { streams, escaping, ...(keptBytes !== undefined && { keptBytes }) };
  const thread = createThread({ name: 'bodies', settings, maxHeapMb: 64, clock, log });
  let jobs: WaitingJob[] = [];

  function post(): void {
    const some = jobs;
    jobs = [];
    if (some.length > 0) void read(some);
  }

  async function read(some: readonly WaitingJob[]): Promise<void> {
    const results = await thread.ask('understand', ...inOneMessage(some));
    for (const [index, { body, receivedAt, resolve }] of some.entries()) {
      const result = results?.[index];
      resolve(result === undefined ? understand(body, receivedAt, options) : understoodOf(result, log));
    }
  }

  return {
    understand(body, receivedAt) {
      const { promise, resolve } = Promise.withResolvers<Understood>();
      if (jobs.length === 0) setImmediate(post);
      if (jobs.push({ body, receivedAt, resolve }) === BODIES_PER_MESSAGE) post();
      return promise;
    },
    isUp: thread.wake,
    close: thread.close,
  };
}
