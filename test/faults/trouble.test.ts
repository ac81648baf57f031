import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { Exposition } from '../metrics/exposition.ts';
import { breakIndexPage, fillLargeDatabase } from '../outbox/damaged-page.ts';
import { run } from '../support/command.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startService } from '../support/service.ts';
import { type Service, serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { type Health, healthOf } from './support/health.ts';
import { idColumns } from './support/streams.ts';
import { postOnce, webhook } from './support/webhooks.ts';

const TIME_LIMIT = { timeout: 300_000 };
const MIB = 2 ** 20;

async function startParts(t: TestContext) {
  const emulator = await startTestEmulator(t, { streams: { [requestStream]: idColumns } });
  const files = await serviceFiles(t, emulator);
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  return { dataDir: files.dataDir, env: serviceEnv(emulator, files), agent };
}

async function metricsOf({ adminPort }: Service): Promise<Exposition> {
  return new Exposition(await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text());
}

const troublesOf = async (service: Service, operation: string): Promise<number> =>
  (await metricsOf(service)).value('apono_sentinel_outbox_troubles_total', { operation }) ?? 0;

const logBytesOf = async (service: Service): Promise<number> =>
  (await metricsOf(service)).value('apono_sentinel_outbox_log_bytes') ?? 0;

/** From which size on the alarm is true. */
function alarmingLogBytes(): number {
  const rules = readFileSync(new URL('../../docs/alerts.yml', import.meta.url), 'utf8');
  const [, product = ''] = /expr: apono_sentinel_outbox_log_bytes > ([\d *]+)$/m.exec(rules) ?? [];
  return product.split('*').reduce((value, factor) => value * Number(factor), 1);
}

const troubleIn = ({ problems }: Health) => problems.find(({ code }) => code === 'outbox_trouble');

test('a reader with an open transaction is told, in /healthz and by an alarm, until it ends', TIME_LIMIT, async (t) => {
  const { dataDir, env, agent } = await startParts(t);
  const service = await startServiceProcess(t, env);
  assert.equal((await postOnce(agent, service.port, webhook('first'))).status, 200);
  const reader = new DatabaseSync(path.join(dataDir, 'outbox.db'), { readOnly: true });
  t.after(() => reader.isOpen && reader.close());
  reader.exec('BEGIN; SELECT count(*) FROM events');
  const limit = alarmingLogBytes();
  assert.equal(limit, 32 * MIB);
  // Bodies that cannot be understood are kept as they are, so the log grows by a megabyte each.
  for (let n = 0; n < 100 && (await logBytesOf(service)) <= limit; n++) {
    assert.equal((await postOnce(agent, service.port, `${n}`.padEnd(MIB, 'x'))).status, 400);
  }
  const health = await healthOf(service.port);
  const trouble = troubleIn(health);
  assert.match(trouble?.message ?? '', /checkpoint.*another program has the database open in a read transaction/);
  assert.match(trouble?.fix ?? '', /End the program that has outbox\.db open, such as a backup/);
  assert.equal(health.code, 200, 'degraded: webhooks are taken');
  assert.equal((await postOnce(agent, service.port, webhook('taken'))).status, 200);
  assert((await logBytesOf(service)) > limit, 'the alarm OutboxLogGrows is true');
  assert((await troublesOf(service, 'checkpoint')) > 0, 'and so is OutboxTrouble');
  const told = service.logs.find(({ code }) => code === 'outbox_trouble');
  assert.match(String(told?.['reason']), /read transaction/);
  const { stdout, stderr } = await run(['outbox', 'stats'], { ...env, ADMIN_PORT: String(service.adminPort) });
  assert.match(
    stdout,
    /^SQLite's write-ahead log has \d+ bytes besides: another program may have outbox\.db open/m,
    stderr,
  );

  reader.close();
  await eventually(async () => (await logBytesOf(service)) < MIB);
  const [before, after] = [await troublesOf(service, 'checkpoint'), await troublesOf(service, 'checkpoint')];
  assert.equal(after, before, 'nothing more is counted');
});

test('a page damaged while the service runs is told at once, set aside, and webhooks go on', TIME_LIMIT, async (t) => {
  const { dataDir, env, agent } = await startParts(t);
  await fillLargeDatabase(dataDir);
  breakIndexPage(dataDir);
  const service = await startService(t, env);
  const { port } = service;
  assert.equal(
    (await healthOf(port)).problems.some(({ code }) => code === 'damaged_database'),
    false,
  );
  const statuses: number[] = [];
  for (let n = 0; n < 500 && !statuses.includes(503); n++) {
    statuses.push((await postOnce(agent, port, webhook(`e${n}`))).status);
  }
  assert(statuses.includes(503), 'no webhook touched the page');
  await eventually(async () => {
    const { problems } = await healthOf(port);
    const codes = problems.map(({ code }) => code);
    // From the first 503 on it says so, and until somebody has looked.
    assert(
      codes.some((code) => code === 'outbox_trouble' || code === 'damaged_database'),
      codes.join(),
    );
    return codes.includes('damaged_database') && !codes.includes('outbox_trouble');
  });
  for (let n = 0; n < 50; n++) assert.equal((await postOnce(agent, port, webhook(`later-${n}`))).status, 200);
  const { code, problems } = await healthOf(port);
  assert.deepEqual([code, problems.map((problem) => problem.code)], [200, ['webhooks_refused', 'damaged_database']]);
  assert((await troublesOf(service, 'commit')) > 0);
  assert.equal((await metricsOf(service)).value('apono_sentinel_outbox_damaged'), 1);
  const lines = service.logs.filter(({ level }) => level === 'error').map((line) => String(line['code']));
  for (const expected of ['outbox_trouble', 'outbox_page_damaged', 'outbox_damaged']) {
    assert(lines.includes(expected), `${expected} is not among ${lines.join()}`);
  }
});
