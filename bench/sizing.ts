/**
 * `node bench/sizing.ts`: what an outage costs. Posts webhooks of three sizes to the real service while Azure answers
 * 503, and prints how much room one that waits takes on the disk, how much memory and processor time the process takes,
 * and how long the backlog takes to drain. The figures of docs/operations.md ("Sizing") come from it. Linux only (/proc).
 */
import path from 'node:path';
import process from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import { requestBodies } from '../test/kinds/request-bodies.ts';
import { closedLoop } from './load.ts';
import { type Azure, drained, residentMebibytes, type Service, startAzure, startService } from './processes.ts';
import { processorTime } from './processor-time.ts';

const CONNECTIONS = 16;

const cases = [
  { name: 'documented', webhooks: 10_000 },
  { name: 'every-field', webhooks: 10_000 },
  { name: 'thousand-units', webhooks: 200 },
] as const;

interface Sample {
  readonly atMs: number;
  readonly mebibytes: number;
  readonly processorMs: number;
  readonly diskBytes: number;
}

async function sample(service: Service): Promise<Sample> {
  const db = new DatabaseSync(path.join(service.dataDir, 'outbox.db'), { readOnly: true });
  const value = (name: string): number => Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
  const diskBytes = (value('page_count') - value('freelist_count')) * value('page_size');
  db.close();
  return {
    atMs: performance.now(),
    mebibytes: (await residentMebibytes(service)) ?? Number.NaN,
    processorMs: (await processorTime(service.pid))?.all ?? Number.NaN,
    diskBytes,
  };
}

async function measure(azure: Azure, name: string, webhooks: number): Promise<string> {
  const body = requestBodies[name] ?? '';
  const distinct = (index: number) => body.replace('"data":', `"n":"bench-${String(index).padStart(8, '0')}","data":`);
  azure.set({ isDown: true });
  const service = await startService(azure);
  const idle = await sample(service);
  const load = { connections: CONNECTIONS, durationMs: Number.POSITIVE_INFINITY, requests: webhooks };
  await closedLoop(service.target, distinct, load);
  const waiting = await sample(service);
  azure.set({ isDown: false });
  await azure.report();
  await drained(service);
  const after = await sample(service);
  const { firstAtMs, lastAtMs } = await azure.report();
  await service.stop();
  const cpuMs = (from: Sample, to: Sample) => ((to.processorMs - from.processorMs) / webhooks).toFixed(2);
  const disk = (of: Sample) => ((of.diskBytes - idle.diskBytes) / webhooks).toFixed(0);
  const perSecond = (ms: number) => ((webhooks * 1_000) / ms).toFixed(0);
  return [
    `${name}: body of ${Buffer.byteLength(body)} bytes, ${webhooks} webhooks`,
    `  disk of one that waits      ${disk(waiting)} bytes`,
    `  disk of one delivered       ${disk(after)} bytes`,
    `  accepted                    ${perSecond(waiting.atMs - idle.atMs)} a second, ${cpuMs(idle, waiting)} ms of CPU each`,
    `  delivered                   ${perSecond(lastAtMs - firstAtMs)} a second, ${cpuMs(waiting, after)} ms of CPU each`,
    `  memory idle / waiting / after ${[idle, waiting, after].map(({ mebibytes }) => mebibytes.toFixed(0)).join(' / ')} MiB`,
    '',
  ].join('\n');
}

const azure = await startAzure();
try {
  for (const { name, webhooks } of cases) process.stdout.write(await measure(azure, name, webhooks));
} finally {
  await azure.stop();
}
