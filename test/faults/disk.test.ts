import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Exposition } from '../metrics/exposition.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startService } from '../support/service.ts';
import { serviceEnv, serviceFiles, spawnService, startServiceProcess } from '../support/service-process.ts';
import { drained, healthOf } from './support/health.ts';
import { keepLedger } from './support/ledger.ts';
import { idColumns } from './support/streams.ts';
import { type Answer, eventsOf, postOnce, webhook } from './support/webhooks.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const TIME_LIMIT = { timeout: 300_000 };
const justification = 'x'.repeat(60_000);

async function startParts(t: TestContext) {
  const emulator = await startTestEmulator(t, { streams: { [requestStream]: idColumns } });
  const ledger = keepLedger(emulator);
  ledger.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  const files = await serviceFiles(t, emulator);
  return { ledger, files, env: serviceEnv(emulator, files) };
}

/** A file system of its own for the data; null where none can be mounted, with the reason told as a skip. */
function mountDataDir(t: TestContext, options: string): string | null {
  const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
  // Lazily: hooks run in their order, and the process that has it open is killed by a later one.
  t.after(() => {
    if (mounted.status === 0) spawnSync('umount', ['-l', folder]);
    rmdirSync(folder);
  });
  if (mounted.status === 0) return folder;
  t.skip(`a tmpfs cannot be mounted here: ${String(mounted.stderr ?? mounted.error)}`);
  return null;
}

const readiness = async (port: number): Promise<number> => (await fetch(`http://127.0.0.1:${port}/readyz`)).status;

interface Sender {
  /** Ids of events that were answered 200. */
  readonly accepted: Set<string>;
  send(): Promise<Answer>;
}

function senderTo(t: TestContext, port: number): Sender {
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const accepted = new Set<string>();
  let n = 0;
  return {
    accepted,
    async send() {
      const answer = await postOnce(agent, port, webhook(`disk-${n++}`, 1, { justification }));
      if (answer.status === 200) for (const { event_id } of eventsOf(answer)) accepted.add(event_id);
      return answer;
    },
  };
}

/** Until a webhook is refused for want of room or of a disk that works, which must be said as the contract has it. */
async function sendUntilRefused({ send, accepted }: Sender): Promise<Answer> {
  for (let n = 0; n < 2_000; n++) {
    const answer = await send();
    if (answer.status === 200) continue;
    assert.equal(answer.status, 503, answer.text);
    assert(Number(answer.headers['retry-after']) > 0, 'it says when to come again');
    assert(accepted.size > 3);
    return answer;
  }
  return assert.fail('it was never refused');
}

async function troublesOf(adminPort: number, operation: string): Promise<number> {
  const metrics = new Exposition(await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text());
  return metrics.value('apono_sentinel_outbox_troubles_total', { operation }) ?? 0;
}

async function assertBackByItself(port: number, sender: Sender): Promise<void> {
  await eventually(
    async () => (await readiness(port)) === 200,
    () => healthOf(port),
  );
  assert.equal((await sender.send()).status, 200);
  const { outbox } = await healthOf(port);
  assert.equal(outbox.waiting + outbox.held, sender.accepted.size, 'nothing is stored that was not answered 200');
}

/** Azure is there again: exactly what was answered 200 arrives. */
async function assertAllArrive(port: number, { accepted }: Sender, ledger: ReturnType<typeof keepLedger>) {
  ledger.plan();
  await drained(port);
  const arrived = new Set([...ledger.storedBy().keys()].map((rowId) => rowId.replace(/-0$/, '')));
  assert.deepEqual(arrived, accepted);
}

test('a full disk: 503 with Retry-After, not ready, and back by itself when there is room', TIME_LIMIT, async (t) => {
  const { ledger, env } = await startParts(t);
  const dataDir = mountDataDir(t, 'size=3m');
  if (dataDir === null) return;
  const service = await startService(t, { ...env, DATA_DIR: dataDir });
  const sender = senderTo(t, service.port);
  const refused = await sendUntilRefused(sender);
  assert.equal(JSON.parse(refused.text).code, 'outbox_full');
  assert.equal(await readiness(service.port), 503);
  assert.match(JSON.stringify((await healthOf(service.port)).problems), /disk is full/);
  assert.equal((await sender.send()).status, 503, 'it goes on refusing');

  assert.equal(spawnSync('mount', ['-o', 'remount,size=40m', dataDir]).status, 0);
  await assertBackByItself(service.port, sender);
  await assertAllArrive(service.port, sender, ledger);
  assert.equal(
    statSync(path.join(dataDir, 'outbox.reserve')).size,
    3 * 2 ** 16,
    'a sixteenth of the disk that it found',
  );
  await service.stop();
});

test(
  'what waits on a full disk is delivered, once, and room for webhooks comes back with it',
  TIME_LIMIT,
  async (t) => {
    const { ledger, env } = await startParts(t);
    const dataDir = mountDataDir(t, 'size=3m');
    if (dataDir === null) return;
    const first = await startService(t, { ...env, DATA_DIR: dataDir });
    const sender = senderTo(t, first.port);
    await sendUntilRefused(sender);
    // The log of a service that starts is short, and cannot grow.
    await first.stop();
    const filler = path.join(dataDir, 'filler');
    assert.throws(() => writeFileSync(filler, Buffer.alloc(2 ** 22)), /ENOSPC/);
    const second = await startService(t, { ...env, DATA_DIR: dataDir });
    await assertAllArrive(second.port, sender, ledger);
    const sent = ledger.storedBy();
    assert.ok(
      [...sent.values()].every((times) => times.length === 1),
      'no row is sent again',
    );
    rmSync(filler);
    await eventually(async () => (await readiness(second.port)) === 200);
    assert.equal((await senderTo(t, second.port).send()).status, 200);
  },
);

test('I/O errors: 503 with Retry-After, not ready, and back by itself when they end', TIME_LIMIT, async (t) => {
  if (spawnSync('prlimit', ['--version']).status !== 0) return t.skip('prlimit (util-linux) is missing');
  const { ledger, env } = await startParts(t);
  // Writes past RLIMIT_FSIZE fail with EFBIG, which SQLite takes for an I/O error. In blocks of 512 bytes.
  const script = `ulimit -S -f 2000; exec "${process.execPath}" "${MAIN}" serve`;
  const service = spawnService(t, env, { command: 'sh', args: ['-c', script] });
  const { port, adminPort } = await service.ready;
  const sender = senderTo(t, port);
  const refused = await sendUntilRefused(sender);
  assert.equal(JSON.parse(refused.text).code, 'outbox_unavailable');
  assert.equal(await readiness(port), 503);
  const trouble = (await healthOf(port)).problems.find(({ code }) => code === 'outbox_trouble');
  assert.match(trouble?.message ?? '', /commit.*disk I\/O error/);
  assert.match(trouble?.fix ?? '', /`df -h`.*system log/);
  for (let n = 0; n < 5; n++) assert.equal((await sender.send()).status, 503);
  const counted = await troublesOf(adminPort, 'commit');
  assert(counted >= 5, `${counted} troubles are counted`);

  assert.equal(spawnSync('prlimit', ['--pid', String(service.child.pid), '--fsize=unlimited:']).status, 0);
  await assertBackByItself(port, sender);
  const { code, problems } = await healthOf(port);
  assert.deepEqual(
    [code, problems.map((problem) => problem.code)],
    [200, ['webhooks_refused', 'outbox_trouble']],
    'it stays degraded a while',
  );
  await assertAllArrive(port, sender, ledger);
  const told = service.logs.filter((line) => line['code'] === 'outbox_trouble' && line['operation'] === 'commit');
  assert.match(String(told[0]?.['reason']), /disk I\/O error/);
  const times = told.map(({ time }) => Date.parse(String(time)));
  assert(
    times.every((time, index) => index === 0 || time - (times[index - 1] ?? 0) >= 60_000),
    'the reason is logged once a minute',
  );
});

test('a disk that is mounted read-only stops the start, with what to do', TIME_LIMIT, async (t) => {
  const { env } = await startParts(t);
  const dataDir = mountDataDir(t, 'ro');
  if (dataDir === null) return;
  const { exited, logs } = spawnService(t, { ...env, DATA_DIR: dataDir });
  assert.deepEqual(await exited, { code: 1, signal: null });
  const fatal = logs.find(({ level }) => level === 'fatal');
  assert.equal(fatal?.['code'], 'outbox_permission');
  assert.match(String(fatal?.['error']), /mount options/);
});

test('a disk that becomes read-only refuses events and loses none', TIME_LIMIT, async (t) => {
  const { ledger, env } = await startParts(t);
  const dataDir = mountDataDir(t, 'size=40m');
  if (dataDir === null) return;
  const first = await startServiceProcess(t, { ...env, DATA_DIR: dataDir });
  const sender = senderTo(t, first.port);
  for (let n = 0; n < 5; n++) assert.equal((await sender.send()).status, 200);
  first.child.kill('SIGKILL');
  await first.exited;
  assert.equal(spawnSync('mount', ['-o', 'remount,ro', dataDir]).status, 0);
  const refused = spawnService(t, { ...env, DATA_DIR: dataDir });
  assert.deepEqual(await refused.exited, { code: 1, signal: null });
  assert.equal(spawnSync('mount', ['-o', 'remount,rw', dataDir]).status, 0);
  const second = await startService(t, { ...env, DATA_DIR: dataDir });
  await assertAllArrive(second.port, sender, ledger);
});
