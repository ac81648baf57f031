import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import tls from 'node:tls';
import type { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { type Fault, startEmulator } from '../emulator/emulator.ts';
import { systemClock } from '../ground/clock.ts';
import type { JsonObject } from '../ground/json.ts';
import { createLogger } from '../ground/log.ts';
import type { HealthDocument } from '../http/health.ts';
import { toDoOf } from '../http/status.ts';
import { sampleBody } from '../kinds/body-template.ts';
import { kinds } from '../kinds/registry.ts';
import { startService } from '../service.ts';
import { type CommandContext, exitCodes, misconfigured, onFirstSignal, type TextOutput } from './context.ts';
import { emulatedStreams, faultOption, faultText } from './emulator.ts';
import { sendHttp } from './local-service.ts';
import { findAdminClient } from './outbox/admin-client.ts';
import { cutToWidth, renderTable } from './text.ts';

/** The longest that the demo waits for any one thing. */
const LIMIT_MS = 60_000;

/** The demo prints it: it protects nothing. */
const DEMO_SECRET = 'demo-secret-of-no-value';

export const define = (command: Command) =>
  command
    .description('show the whole way with an emulated Azure; needs no configuration')
    .option('--once', 'end by itself when the rows have arrived; a fault is ended when it was seen')
    .addOption(faultOption());

export async function run(
  context: CommandContext,
  { once, fault }: { readonly once?: boolean; readonly fault?: Fault },
): Promise<number> {
  const { stdout, stderr } = context;
  try {
    await using closing = new AsyncDisposableStack();
    const demo = await startDemo(context, fault ?? null, closing);
    const { emulator, admin } = demo;
    const expected = await sendSamples(stdout, demo);
    const shown = new Map<string, number>();
    const dead = fault === undefined ? [] : await showFault(stdout, demo, fault);
    if (fault === undefined || once === true) {
      emulator.heal();
      if (dead.length > 0) {
        stdout.write('\nThe demo ends the fault and replays it.\n');
        await admin.replay(dead, { dryRun: false });
      }
      await emulator.waitForRows(expected, LIMIT_MS);
      if (fault !== undefined) await showHealed(stdout, demo, expected);
      stdout.write(`\n${expected} rows arrived at the emulated Azure:\n`);
      printNew(stdout, demo, shown);
      if (once === true) return exitCodes.done;
    } else {
      stdout.write(`\n${faultText(emulator.origin, fault)}\n`);
    }
    printNextSteps(stdout, demo);
    return await Promise.race([demo.exitCode, followRows(stdout, demo, shown)]);
  } catch (error) {
    stderr.write(`the demo failed: ${(error as Error).message}\n`);
    return exitCodes.failed;
  }
}

/**
 * Starts the emulator, and the real service with a fresh data folder that is removed at the end. It takes nothing from the
 * environment, so that each demo is the same. Its log lines that are worse than `info` go to stderr.
 */
async function startDemo(context: CommandContext, fault: Fault | null, closing: AsyncDisposableStack) {
  // A signal ends the demo in order, so that no folder is left.
  const ending = Promise.withResolvers<number>();
  onFirstSignal(context, () => ending.resolve(exitCodes.done));
  const emulator = await startEmulator(emulatedStreams, { fault });
  closing.defer(() => emulator.stop());
  const dataDir = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-demo-'));
  closing.defer(() => rm(dataDir, { recursive: true, force: true }));
  // In place of NODE_EXTRA_CA_CERTS, which Node reads at its start only.
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), emulator.caPem]);
  const own = { HOST: '127.0.0.1', PORT: '0', ADMIN_PORT: '0', APONO_WEBHOOK_SECRET: DEMO_SECRET, DATA_DIR: dataDir };
  const { config, problems } = loadConfig({ ...emulator.environment, ...own });
  if (config === null) throw misconfigured(problems);
  const onFatal = () => ending.resolve(exitCodes.failed);
  const log = createLogger('warn', context.stderr);
  const service = await startService({ config, version: context.version, clock: systemClock, log, onFatal });
  closing.defer(() => service.stop());
  const { port, adminPort } = service;
  return {
    emulator,
    admin: findAdminClient({ env: { ADMIN_PORT: String(adminPort) } }),
    webhookUrl: new URL(`http://127.0.0.1:${port}/apono/webhook`),
    healthUrl: `http://127.0.0.1:${port}/healthz`,
    pageUrl: `http://127.0.0.1:${adminPort}/`,
    /** What stands before a command for this service. */
    cli: `DATA_DIR=${dataDir} ADMIN_PORT=${adminPort} npm run --silent cli --`,
    /** Resolves at a signal, or when the service cannot go on, which its log explains. */
    exitCode: ending.promise,
  };
}

type Demo = Awaited<ReturnType<typeof startDemo>>;

/** Bodies as Apono sends them, with the current time: four of access requests and one of each other webhook. */
export function demoEvents(nowMs: number) {
  const body = (name: string) => sampleBody(name, { time: (nowMs / 1000).toFixed(6) });
  return [
    { title: 'the event of Apono’s documentation, as JSON', body: body('documented'), rows: 1 },
    { title: 'a grant of two resources in two integrations, as JSON', body: body('granted'), rows: 3 },
    { title: 'a body template with a line break and a backslash in the text', body: body('template'), rows: 1 },
    // After the rejected one: a row that is refused is called dead only when Azure has taken another one since.
    { title: 'a row of Apono’s own Sentinel recipe', body: body('recipe'), rows: 1 },
    { title: 'an event of the audit log: somebody changed an access flow', body: body('audit'), rows: 1 },
    { title: 'an anomaly with the request that it is about', body: body('anomaly'), rows: 1 },
    { title: 'an integration in trouble, with two issues', body: body('integration'), rows: 2 },
  ];
}

/** Returns how many rows must arrive. Rejects when an event is not accepted. */
async function sendSamples(stdout: TextOutput, { webhookUrl }: Demo): Promise<number> {
  stdout.write(`The service listens at ${webhookUrl.href}, an emulated Azure behind it.\n\n`);
  let rows = 0;
  for (const event of demoEvents(Date.now())) {
    const result = await sendHttp(webhookUrl, {
      headers: { authorization: `Bearer ${DEMO_SECRET}`, 'content-type': 'application/json' },
      body: event.body,
      timeLimitMs: LIMIT_MS,
    });
    const answer = result.type === 'answered' ? `${result.status} ${shortAnswer(result.body)}` : result.reason;
    stdout.write(`sent ${event.title}\n  → ${answer}\n`);
    if (result.type !== 'answered' || result.status !== 200) throw new Error('a sample event was not accepted');
    rows += event.rows;
  }
  return rows;
}

function shortAnswer(body: string): string {
  const { status, event_id: eventId, kind, rows, duplicate } = JSON.parse(body) as Record<string, unknown>;
  return JSON.stringify({ status, event_id: `${String(eventId).slice(0, 12)}…`, kind, rows, duplicate });
}

/** The columns that are shown of each table that has them, in order: who did what to what. */
const COLUMNS = (
  'arrived event_time event_action action anomaly_type severity actor_id requester_email target_type target_name ' +
  'changed_fields integration_name integration_status issue_status issue_message summary resource_name permission ' +
  'justification body_form'
).split(' ');

/** `shown`: how many rows of each stream have been printed. */
function printNew(stdout: TextOutput, { emulator }: Demo, shown: Map<string, number>): void {
  for (const { defaultStream, table } of kinds) {
    const rows = emulator.rows(defaultStream);
    const from = shown.get(defaultStream) ?? 0;
    shown.set(defaultStream, rows.length);
    const ids = rows.map(({ row_id: id }) => id);
    const arrived = ids.map((id, index) => ({ arrived: ids.indexOf(id) < index ? 'again' : 'first' }));
    const fresh: JsonObject[] = rows.map((row, index) => ({ ...row, ...arrived[index] })).slice(from);
    const isRepeated = fresh.some((row) => row['arrived'] === 'again');
    const columns = COLUMNS.filter((one) => (one === 'arrived' ? isRepeated : fresh.some((row) => one in row)));
    const cells = fresh.map((row) => columns.map((column) => cell(row[column])));
    if (cells.length > 0) stdout.write(`\n${table.name}\n\n${renderTable(columns, cells)}\n`);
  }
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  return cutToWidth((typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('\n', '⏎'), 40);
}

function printNextSteps(stdout: TextOutput, { webhookUrl, healthUrl, pageUrl, cli }: Demo): void {
  const time = Math.floor(Date.now() / 1000);
  const body = `{"event_type":"RequestGranted","event_time":"${time}","data":{"id":"r-1","justification":"typed by me"}}`;
  stdout.write(`Look at the service in a browser: ${pageUrl}

Send one more:

  curl -i ${webhookUrl.href} -H 'Authorization: Bearer ${DEMO_SECRET}' -d '${body}'

Then try:
  - the same line again: "duplicate": true, and no new row; with another id it is another event
  - a wrong secret: 401; a body that is no JSON: 400, kept in quarantine
  - curl -s ${healthUrl}
  - ${cli} outbox list

New rows are shown here as they arrive. Ctrl-C ends the demo.
`);
}

/** Prints rows as they arrive. Never resolves. */
async function followRows(stdout: TextOutput, demo: Demo, shown: Map<string, number>): Promise<never> {
  for (;;) {
    const count = shown.values().reduce((sum, rows) => sum + rows, 0);
    await demo.emulator.waitForRows(count + 1);
    printNew(stdout, demo, shown);
  }
}

/**
 * Resolves when the fault has met a call and made what it makes, such as a hold; prints what /healthz says then. Names the
 * dead letters, which `refused` makes, with the commands for them, and returns their ids.
 */
async function showFault(stdout: TextOutput, demo: Demo, fault: Fault): Promise<string[]> {
  const { emulator, admin, cli } = demo;
  const isMade = ({ hold, outbox }: HealthDocument) =>
    fault === '403' ? hold !== null : fault !== 'refused' || (outbox.dead ?? 0) > 0;
  const text = await healthWhen((health) => emulator.faultyCalls() > 0 && isMade(health), demo);
  stdout.write(`\nThe fault has met a delivery.\n${text}`);
  const { records } = await admin.list({ state: 'dead', limit: 10 });
  for (const { id, code } of records) {
    const shortId = id.slice(0, 12);
    stdout.write(`
The dead letter ${shortId}…, code ${code}, stays until it is replayed or purged:

  ${cli} outbox show ${shortId} --body
  ${cli} outbox replay ${shortId}
`);
  }
  return records.map(({ id }) => id);
}

/** Resolves when nothing waits any more; prints what /healthz says then. `rows`: how many different ones must be there. */
async function showHealed(stdout: TextOutput, demo: Demo, rows: number): Promise<void> {
  const isDone = ({ outbox: { waiting, held, dead }, hold }: HealthDocument) =>
    [waiting, held, dead].every((count) => count === 0) && hold === null;
  const text = await healthWhen(isDone, demo);
  const ids = demo.emulator.allRows().map(({ row_id: id }) => id);
  const missing = rows - new Set(ids).size;
  if (missing !== 0) throw new Error(`of ${rows} rows ${missing} did not arrive`);
  stdout.write(`\nThe fault is over.\n${text}`);
  const again = ids.length - rows;
  if (again > 0) stdout.write(`${again} rows arrived twice, each with the same row_id as before.\n`);
}

/** What /healthz says, which is a part of the status, as soon as that is so. */
async function healthWhen(isSo: (health: HealthDocument) => boolean, { admin, healthUrl }: Demo): Promise<string> {
  for (const deadline = performance.now() + LIMIT_MS; performance.now() < deadline; await delay(200)) {
    const { health } = await admin.status();
    if (!isSo(health)) continue;
    const { status, outbox, problems } = health;
    const said = toDoOf({ problems }).map(({ fix, problems: sharing }) => {
      const messages = sharing.map(({ code, message }) => `  ${code}: ${message}\n`);
      return `${messages.join('')}  Fix: ${fix}\n`;
    });
    const dead = outbox.dead === 0 ? '' : `, ${outbox.dead} dead`;
    return `${healthUrl} says "${status}": ${outbox.waiting} waiting, ${outbox.held} held${dead}\n${said.join('')}`;
  }
  throw new Error(`what should be seen in ${healthUrl} was not there within ${LIMIT_MS / 1000} s`);
}
