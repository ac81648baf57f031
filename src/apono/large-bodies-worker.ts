import { parentPort, workerData } from 'node:worker_threads';
import { kinds } from '../kinds/registry.ts';
import type { LargeBodiesSettings, LargeBodyReply, LargeBodyRequest } from './large-bodies.ts';
import { understand } from './understand.ts';

/** The thread of large-bodies.ts. One body after the other, in the order in which they came. */
const settings = workerData as LargeBodiesSettings;
let last: Promise<void> = Promise.resolve();

async function answer({ id, body, receivedAt }: LargeBodyRequest): Promise<void> {
  const logged: { fields: object; message: string }[] = [];
  const log = { error: (fields: object, message: string) => void logged.push({ fields, message }) };
  const understood = await understand(body, receivedAt, { ...settings, kinds, log });
  parentPort?.postMessage({ id, understood, logged } satisfies LargeBodyReply);
}

parentPort?.on('message', (request: LargeBodyRequest) => {
  last = last.then(() => answer(request));
});
