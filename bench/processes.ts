import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { nodeOptions } from '../test/support/node-options.ts';
import type { AzureOrder, AzureReady, AzureReport } from './azure.ts';
import type { Target } from './load.ts';

const SECRET = 'a-secret-for-the-bench';
const RULE_ID = 'dcr-00000000000000000000000000000000';
const STREAM = 'Custom-AponoAccessRequests_CL';

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** A process that is measured, or that something is measured with. */
export interface Running {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface Azure extends Running {
  readonly origin: string;
  readonly caFile: string;
  readonly folder: string;
  set(order: AzureOrder): void;
  /** What came since the last report. */
  report(): Promise<AzureReport>;
}

export interface Receiver extends Running {
  readonly target: Target;
  /** From its start to when it took webhooks. */
  readonly startMs: number;
}

export interface Service extends Receiver {
  readonly dataDir: string;
  readonly adminPort: number;
  /** The body that `path` gives. Over a connection that `stop` closes: an idle one would hold up its end by a second. */
  get(port: number, path: string): Promise<string>;
}

export async function startAzure(): Promise<Azure> {
  const folder = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-bench-'));
  const child = fork(file('azure.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [{ port, caPem }] = (await once(child, 'message')) as [AzureReady];
  const caFile = path.join(folder, 'ca.pem');
  await writeFile(caFile, caPem);
  return {
    ...running(child),
    origin: `https://localhost:${port}`,
    caFile,
    folder,
    set: (order) => void child.send(order),
    async report() {
      child.send({ report: true } satisfies AzureOrder);
      const [report] = (await once(child, 'message')) as [AzureReport];
      return report;
    },
    async stop() {
      await running(child).stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** One of the servers of baselines/, without a secret. `args`: where Azure is, unless they are given. */
export async function startBaseline(
  name: 'express' | 'awaits-upload' | 'insert',
  azure: Azure,
  args: readonly string[] = [azure.origin, RULE_ID, STREAM],
): Promise<Receiver> {
  const startedAt = performance.now();
  const child = fork(file(`baselines/${name}.ts`), args, {
    env: { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: azure.caFile },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [{ port }] = (await once(child, 'message')) as [{ readonly port: number }];
  const startMs = performance.now() - startedAt;
  return { ...running(child), startMs, target: { port, path: '/', headers: {} } };
}

export interface ServiceOptions {
  /** The checkout whose service it is; this one unless it is given. */
  readonly folder?: string;
  /** An empty one unless it is given. */
  readonly dataDir?: string;
  /** Selects PostgreSQL. */
  readonly outboxUrl?: string;
}

/** The real service, as `npm start` runs it. */
export async function startService(azure: Azure, options: ServiceOptions = {}): Promise<Service> {
  const dataDir = options.dataDir ?? (await mkdtemp(path.join(azure.folder, 'data-')));
  const startedAt = performance.now();
  const main = path.join(options.folder ?? file('..'), 'src/main.ts');
  const child = spawn(process.execPath, [...nodeOptions(), main, 'serve'], {
    env: environment(azure, { ...options, dataDir }),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ready = Promise.withResolvers<{ readonly port: number; readonly adminPort: number }>();
  const tail: string[] = [];
  const lines = createInterface({ input: child.stderr }).on('line', (line) => {
    const entry = line.startsWith('{') ? (JSON.parse(line) as Record<string, unknown>) : {};
    if (tail.push(line) > 20) tail.shift();
    if (entry['message'] !== 'ready') return;
    ready.resolve({ port: Number(entry['port']), adminPort: Number(entry['admin_port']) });
    // A line for each webhook follows. To look at them would cost the processors that are measured.
    lines.close();
    child.stderr.resume();
  });
  child.once('exit', (code) => ready.reject(new Error(`the service ended with ${code}:\n${tail.join('\n')}`)));
  const { port, adminPort } = await ready.promise;
  const startMs = performance.now() - startedAt;
  const agent = new http.Agent({ keepAlive: true });
  return {
    ...running(child),
    startMs,
    dataDir,
    adminPort,
    async get(atPort, pathname) {
      const request = http.get({ agent, host: '127.0.0.1', port: atPort, path: pathname });
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      return text(response);
    },
    async stop() {
      agent.destroy();
      await running(child).stop();
    },
    target: { port, path: '/apono/webhook', headers: { authorization: `Bearer ${SECRET}` } },
  };
}

function environment(azure: Azure, { dataDir, outboxUrl }: ServiceOptions): Record<string, string | undefined> {
  return {
    PATH: process.env['PATH'],
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    APONO_WEBHOOK_SECRET: SECRET,
    LOGS_INGESTION_ENDPOINT: azure.origin,
    DATA_COLLECTION_RULE_ID: RULE_ID,
    AZURE_TENANT_ID: '00000000-0000-0000-0000-000000000000',
    AZURE_CLIENT_ID: '00000000-0000-0000-0000-000000000001',
    AZURE_CLIENT_SECRET: 'bench',
    AZURE_AUTHORITY_HOST: azure.origin,
    NODE_EXTRA_CA_CERTS: azure.caFile,
    OUTBOX_MAX_BYTES: String(2 ** 33),
    DATA_DIR: dataDir,
    OUTBOX_URL: outboxUrl,
    NODE_V8_COVERAGE: process.env['NODE_V8_COVERAGE'],
  };
}

/** Ended with this process, so that a scenario that fails leaves nothing behind. */
const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

function running(child: ChildProcess): Running {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return {
    pid: child.pid ?? 0,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Null where there is no /proc. */
export async function residentMebibytes({ pid }: Running): Promise<number | null> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
  } catch {
    return null;
  }
}

/** How many events wait, as /healthz says. */
async function waitingEvents(service: Service): Promise<number> {
  const { outbox } = JSON.parse(await service.get(service.target.port, '/healthz')) as {
    readonly outbox: { readonly waiting: number; readonly held: number };
  };
  return outbox.waiting + outbox.held;
}

/** Far more than any backlog here needs. */
const DRAIN_LIMIT_MS = 180_000;

/** Resolves when nothing waits any more. Each look counts all that waits, so a long drain should not be looked at often. */
export async function drained(service: Service, everyMs = 50): Promise<void> {
  const startedAt = performance.now();
  for (let left = 1; left > 0; ) {
    left = await waitingEvents(service);
    if (performance.now() - startedAt > DRAIN_LIMIT_MS) throw new Error(`${left} events are not delivered`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
