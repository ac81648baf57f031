import type { ReceivedBody } from '../intake/understand.ts';
import { type UnderstandOptions, type Understood, understand } from '../intake/understand.ts';
import type { Operations, UnderstoodBody } from './protocol.ts';

/** A body that waits to be understood. */
export interface Job {
  readonly body: ReceivedBody;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
}

/** What a thread is asked for these bodies, and what of it changes hands. */
export function inOneMessage(jobs: readonly Job[]): [Operations['understand']['args'], readonly ArrayBuffer[]] {
  // A copy: a body may be a part of a larger buffer, and is needed here should it be refused.
  const bytes = new Uint8Array(jobs.reduce((sum, { body }) => sum + body.bytes.length, 0));
  let end = 0;
  const bodies = jobs.map(({ body: { bytes: own, feed, kind, charset = null }, receivedAt }) => {
    bytes.set(own, end);
    end += own.length;
    return { length: own.length, feed, kind, charset, receivedAt };
  });
  return [{ bytes, bodies }, [bytes.buffer]];
}

/** What the thread made of a job, with its log lines logged here. Undefined: the thread died, and it is done here. */
export function understoodOf(
  result: UnderstoodBody | undefined,
  { body, receivedAt }: Job,
  options: UnderstandOptions,
): Understood | Promise<Understood> {
  if (result === undefined) return understand(body, receivedAt, options);
  for (const fields of result.mappingFailures) options.log.error(fields, 'mapping failed');
  return result.understood;
}
