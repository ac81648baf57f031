import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { Environment } from '../../src/config/read.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { startService } from '../support/service.ts';
import {
  type Service,
  type ServiceProcess,
  serviceEnv,
  serviceFiles,
  startServiceProcess,
} from '../support/service-process.ts';
import { drained, healthOf } from './support/health.ts';
import { keepLedger } from './support/ledger.ts';
import { isLong } from './support/random.ts';
import { idColumns } from './support/streams.ts';
import { postOnce, retryingSender, webhook } from './support/webhooks.ts';

const IN_FLIGHT = 50;
const RESTARTS = isLong ? 20 : 2;

test(`${RESTARTS} restarts with ${IN_FLIGHT} webhooks in flight, behind a sender that tries again: nothing that was answered 2xx is lost, and nothing fails`, async (t) => {
  const emulator = await startTestEmulator(t, { streams: { [requestStream]: idColumns } });
  const port = await freePort();
  const env = { ...serviceEnv(emulator, await serviceFiles(t, emulator)), PORT: String(port) };
  const ledger = keepLedger(emulator);
  let service = await startServiceProcess(t, env);
  const sender = retryingSender(() => port, IN_FLIGHT);
  t.after(() => sender.close());
  let isOver = false;
  let count = 0;
  let underWay = 0;
  async function run(): Promise<void> {
    while (!isOver) {
      underWay++;
      await sender.send(webhook(`r-${count++}`, 1, { justification: 'x'.repeat(2_000) })).finally(() => underWay--);
    }
  }
  // An answer that is neither 200 nor 503 with Retry-After rejects here.
  const running = Promise.all(Array.from({ length: IN_FLIGHT }, run));
  running.catch(() => {});
  for (let restart = 0; restart < RESTARTS; restart++) {
    const before = sender.tally.accepted.size;
    await eventually(() => sender.tally.accepted.size > before + 100 && underWay === IN_FLIGHT);
    service.child.kill('SIGTERM');
    assert.deepEqual(await service.exited, { code: 0, signal: null });
    service = await startServiceProcess(t, env);
  }
  isOver = true;
  await running;
  await drained(port);
  const { accepted, answered503, broken } = sender.tally;
  const stored = ledger.storedBy();
  t.diagnostic(
    `${RESTARTS} restarts, ${accepted.size} events, ${answered503} answers 503, ${broken} connections refused or closed`,
  );
  assert.deepEqual(
    [...accepted.keys()].filter((eventId) => !stored.has(`${eventId}-0`)),
    [],
  );
  assert.ok(
    [...stored.values()].every((calls) => calls.length === 1),
    'an orderly stop sends nothing twice',
  );
  assert.equal(accepted.size, count);
});

test('requests in flight at SIGTERM are all answered: 200 where the body was there, else 200 or 503 with Retry-After', async (t) => {
  const emulator = await startTestEmulator(t);
  const service = await startServiceProcess(t, serviceEnv(emulator, await serviceFiles(t, emulator)));
  const agent = new http.Agent({ maxSockets: IN_FLIGHT + 1 });
  t.after(() => agent.destroy());
  const requests = Array.from({ length: IN_FLIGHT }, (_, index) => halfSent(agent, service, webhook(`r-${index}`)));
  await Promise.all(requests.map(({ connected }) => connected));
  // Connections are taken in their order: when this one is answered, the others are no longer in the kernel's queue.
  assert.equal((await postOnce(agent, service.port, webhook('behind'))).status, 200);
  const early = requests.slice(0, IN_FLIGHT / 2).map(({ finish }) => finish());
  const answeredEarly = Promise.all(early);
  service.child.kill('SIGTERM');
  const statuses = (await answeredEarly).map(({ statusCode }) => statusCode);
  await eventually(() => service.logs.some((line) => line['message'] === 'stopping'));
  const late = await Promise.all(requests.slice(IN_FLIGHT / 2).map(({ finish }) => finish()));
  assert.deepEqual(await service.exited, { code: 0, signal: null });
  assert.deepEqual(new Set(statuses), new Set([200]));
  for (const { statusCode, headers } of late) {
    assert.ok(statusCode === 200 || (statusCode === 503 && Number(headers['retry-after']) > 0), String(statusCode));
  }
  const taken = late.filter(({ statusCode }) => statusCode === 200).length;
  t.diagnostic(`${IN_FLIGHT} in flight: ${statuses.length} whole ones 200, of ${late.length} half ones ${taken} 200`);
});

interface HalfSent {
  readonly connected: Promise<void>;
  finish(): Promise<http.IncomingMessage>;
}

/** A request whose headers and first bytes are sent, and whose rest comes with `finish`. */
function halfSent(agent: http.Agent, { port }: ServiceProcess, body: string): HalfSent {
  const headers = { authorization: 'Bearer a-secret-for-the-tests', 'content-length': body.length };
  const request = http.request({ agent, port, host: '127.0.0.1', path: '/apono/webhook', method: 'POST', headers });
  const answered = once(request, 'response');
  answered.catch(() => {});
  const connected = connectionOf(request);
  request.write(body.slice(0, 20));
  return {
    connected,
    async finish() {
      request.end(body.slice(20));
      const [response] = (await answered) as [http.IncomingMessage];
      return response.resume();
    },
  };
}

async function connectionOf(request: http.ClientRequest): Promise<void> {
  const [socket] = (await once(request, 'socket')) as [net.Socket];
  if (socket.connecting) await once(socket, 'connect');
}

interface Predicament {
  readonly name: string;
  readonly break: (emulator: Emulator) => void;
  /** Until it has come to that. */
  readonly reached: (emulator: Emulator, service: Service) => boolean | Promise<boolean>;
  readonly env?: Readonly<Record<string, string>>;
}

const isHung = ({ requests }: Emulator) => requests.some(({ outcome }) => outcome === 'hung');
const statusOnce = (code: number) => (emulator: Emulator) => emulator.requests.some(({ status }) => status === code);

const predicaments: readonly Predicament[] = [
  {
    name: 'an upload that hangs',
    break: (emulator) => emulator.plan({ target: 'ingest', answer: { type: 'hang' }, times: 'forever' }),
    reached: isHung,
  },
  {
    name: 'an Entra that hangs',
    break: (emulator) => emulator.plan({ target: 'token', answer: { type: 'hang' }, times: 'forever' }),
    reached: isHung,
  },
  {
    name: 'a hold',
    break: (emulator) => emulator.setPublisherRole(false),
    reached: async (_emulator, { port }) => (await healthOf(port)).hold !== null,
  },
  {
    name: 'a backoff of 15 minutes',
    break: (emulator) =>
      emulator.plan({ target: 'ingest', answer: { type: 'status', status: 429, headers: { 'retry-after': '900' } } }),
    reached: statusOnce(429),
  },
  {
    name: 'a full outbox',
    break: (emulator) => emulator.plan({ target: 'ingest', answer: { type: 'status', status: 503 }, times: 'forever' }),
    env: { OUTBOX_MAX_BYTES: '300000' },
    reached: async (_emulator, service) =>
      (await service.post(webhook(`full-${Math.random()}`, 1, { justification: 'x'.repeat(20_000) }))).status === 503,
  },
];

const SHUTDOWN_TIMEOUT_MS = 5_000;

// Each has a service of its own, and most of the time is waiting.
describe('stopping', { concurrency: 3 }, () => {
  for (const predicament of predicaments) {
    test(`SIGTERM during ${predicament.name}: exit 0 within SHUTDOWN_TIMEOUT_MS, and every row goes at the next start`, async (t) => {
      const { emulator, service, env, eventId } = await intoPredicament(t, predicament, startService);
      // By its own clock: past SHUTDOWN_TIMEOUT_MS it ends with exit code 1 and without this line.
      await service.stop();
      assert.ok(service.logs.some((line) => line['message'] === 'stopped' && line['exit_code'] === 0));
      emulator.clearPlan();
      emulator.setPublisherRole(true);
      const next = await startService(t, env);
      await drained(next.port);
      const rowIds = emulator.rows(requestStream).map((row) => row['row_id']);
      assert.equal(rowIds.filter((rowId) => rowId === `${eventId}-0`).length, 1);
      assert.equal(new Set(rowIds).size, rowIds.length, 'no row twice');
    });
  }

  test('a second signal, a second after the first, ends a stop that takes long at once', async (t) => {
    const hang = predicaments[0];
    assert.ok(hang !== undefined);
    const started = { ...hang, env: { SHUTDOWN_TIMEOUT_MS: '60000' } };
    const { service } = await intoPredicament(t, started, startServiceProcess);
    service.child.kill('SIGTERM');
    const has = (message: string) => service.logs.some((line) => String(line['message']).startsWith(message));
    await eventually(() => has('stopping'));
    assert.equal(service.child.exitCode, null, 'it waits for the upload');
    // Signals within the first second are copies of the first one; the first after it ends the process.
    await eventually(() => !service.child.kill('SIGTERM') || has('second signal'));
    assert.deepEqual(await service.exited, { code: 1, signal: null });
    assert.ok(!has('stopped') && !has('shutdown timed out'), 'neither the upload nor the stop came to an end');
  });
});

async function intoPredicament<S extends Service>(
  t: TestContext,
  predicament: Predicament,
  start: (t: TestContext, env: Environment) => Promise<S>,
) {
  const emulator = await startTestEmulator(t);
  const env = {
    ...serviceEnv(emulator, await serviceFiles(t, emulator)),
    SHUTDOWN_TIMEOUT_MS: String(SHUTDOWN_TIMEOUT_MS),
    ...predicament.env,
  };
  const service = await start(t, env);
  predicament.break(emulator);
  const response = await service.post(webhook('before'));
  assert.equal(response.status, 200);
  const { event_id: eventId } = (await response.json()) as { event_id: string };
  await eventually(() => predicament.reached(emulator, service));
  return { emulator, service, env, eventId };
}
