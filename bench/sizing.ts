/**
 * What an outage costs: runs the real service in front of an emulated Azure that answers 503, posts webhooks of three
 * sizes, and prints what one that waits takes on the disk, what the process takes in memory and processor time, and how
 * long the backlog takes to drain. The figures of docs/operations.md ("Sizing") come from it. Linux only (/proc).
 *
 *     node bench/sizing.ts
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { requestTable } from '../src/kinds/request/table.ts';
import { requestBodies } from '../test/kinds/request-bodies.ts';
import { type Emulator, startEmulator } from '../test/support/azure/emulator.ts';
import { nodeOptions } from '../test/support/node-options.ts';
import { processorTime } from './processor-time.ts';

const SECRET = 'a-secret-for-the-bench';
const STREAM = 'Custom-AponoAccessRequests_CL';
const CONCURRENCY = 16;

const cases = [
  { name: 'documented', webhooks: 10_000 },
  { name: 'every-field', webhooks: 10_000 },
  { name: 'thousand-units', webhooks: 200 },
] as const;

interface Service {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly url: string;
}

async function startService(emulator: Emulator, folder: string): Promise<Service> {
  const caFile = path.join(folder, 'ca.pem');
  await writeFile(caFile, emulator.caPem);
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  const child = spawn(process.execPath, [...nodeOptions(), main, 'serve'], {
    env: {
      PATH: process.env['PATH'],
      HOST: '127.0.0.1',
      PORT: '0',
      ADMIN_PORT: '0',
      APONO_WEBHOOK_SECRET: SECRET,
      LOGS_INGESTION_ENDPOINT: emulator.origin,
      DATA_COLLECTION_RULE_ID: emulator.ruleId,
      AZURE_TENANT_ID: emulator.tenantId,
      AZURE_CLIENT_ID: emulator.clientId,
      AZURE_CLIENT_SECRET: emulator.clientSecret,
      AZURE_AUTHORITY_HOST: emulator.origin,
      NODE_EXTRA_CA_CERTS: caFile,
      DATA_DIR: path.join(folder, 'data'),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ready = Promise.withResolvers<number>();
  createInterface({ input: child.stderr }).on('line', (line) => {
    const entry = JSON.parse(line) as { message?: string; port?: number };
    if (entry.message === 'ready' && entry.port !== undefined) ready.resolve(entry.port);
  });
  child.once('exit', (code) => ready.reject(new Error(`the service ended with ${code}`)));
  const port = await ready.promise;
  return { child, pid: child.pid ?? 0, url: `http://127.0.0.1:${port}/apono/webhook` };
}

async function processOf({ pid }: Service): Promise<{ readonly residentBytes: number; readonly cpuSeconds: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const time = await processorTime(pid);
  return {
    residentBytes: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024,
    cpuSeconds: (time?.allMs ?? Number.NaN) / 1000,
  };
}

function usedBytes(folder: string): number {
  const db = new DatabaseSync(path.join(folder, 'data', 'outbox.db'), { readOnly: true });
  const value = (name: string): number => Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
  const used = (value('page_count') - value('freelist_count')) * value('page_size');
  db.close();
  return used;
}

/** Posts the body so many times, each time as a request of its own. */
async function post(service: Service, body: string, webhooks: number): Promise<void> {
  let next = 0;
  async function sender(): Promise<void> {
    while (next < webhooks) {
      const distinct = body.replace('"data":', `"n":"bench-${String(next++).padStart(8, '0')}","data":`);
      const headers = { authorization: `Bearer ${SECRET}` };
      const response = await fetch(service.url, { method: 'POST', body: distinct, headers });
      if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
      await response.arrayBuffer();
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, sender));
}

async function drained(folder: string): Promise<void> {
  const db = new DatabaseSync(path.join(folder, 'data', 'outbox.db'), { readOnly: true });
  const waiting = db.prepare('SELECT count(*) AS n FROM events');
  while (Number(waiting.get()?.['n']) > 0) await pause(50);
  db.close();
}

const seconds = (sinceMs: number): number => (performance.now() - sinceMs) / 1000;
const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

async function measure(name: string, webhooks: number): Promise<string> {
  const body = requestBodies[name] ?? '';
  const folder = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-sizing-'));
  const emulator = await startEmulator({ streams: { [STREAM]: requestTable.columns } });
  emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  const service = await startService(emulator, folder);
  const [idle, emptyBytes] = [await processOf(service), usedBytes(folder)];
  const postingAt = performance.now();
  await post(service, body, webhooks);
  const [postSeconds, loaded, fullBytes] = [seconds(postingAt), await processOf(service), usedBytes(folder)];
  emulator.clearPlan();
  // Nothing is stored, so that the emulator, which runs in this process, does not fill its memory with rows.
  emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 204 } });
  const drainingAt = performance.now();
  await drained(folder);
  const [drainSeconds, after, leftBytes] = [seconds(drainingAt), await processOf(service), usedBytes(folder)];
  service.child.kill('SIGTERM');
  await once(service.child, 'exit');
  await emulator.stop();
  await rm(folder, { recursive: true });
  const cpuMs = (from: typeof idle, to: typeof idle) =>
    (((to.cpuSeconds - from.cpuSeconds) * 1000) / webhooks).toFixed(2);
  return [
    `${name}: body of ${Buffer.byteLength(body)} bytes, ${webhooks} webhooks`,
    `  disk of one that waits      ${((fullBytes - emptyBytes) / webhooks).toFixed(0)} bytes`,
    `  disk of one delivered       ${((leftBytes - emptyBytes) / webhooks).toFixed(0)} bytes`,
    `  accepted                    ${(webhooks / postSeconds).toFixed(0)} a second, ${cpuMs(idle, loaded)} ms of CPU each`,
    `  delivered                   ${(webhooks / drainSeconds).toFixed(0)} a second, ${cpuMs(loaded, after)} ms of CPU each`,
    `  memory idle / waiting / after ${[idle, loaded, after].map((each) => mebibytes(each.residentBytes)).join(' / ')}`,
  ].join('\n');
}

for (const { name, webhooks } of cases) process.stdout.write(`${await measure(name, webhooks)}\n`);
