import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import type { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { type Emulator, type Fault, startEmulator } from '../emulator/emulator.ts';
import { systemClock } from '../ground/clock.ts';
import { createLogger } from '../ground/log.ts';
import { sampleBody } from '../kinds/body-template.ts';
import { kinds } from '../kinds/registry.ts';
import { startService } from '../service.ts';
import { type CommandContext, exitCodes, misconfigured, onFirstSignal, type TextOutput } from './context.ts';
import { showDeadLetters, showFault, showHealed } from './demo-fault.ts';
import { emulatedStreams, faultOption, faultText } from './emulator.ts';
import { sendHttp } from './local-service.ts';
import { findAdminClient } from './outbox/admin-client.ts';
import { renderTable } from './text.ts';

const ARRIVAL_LIMIT_MS = 30_000;
const SEND_LIMIT_MS = 10_000;

/** The demo prints it: it protects nothing. */
const DEMO_SECRET = 'demo-secret-of-no-value';

export const define = (command: Command) =>
  command
    .description('show the whole way with an emulated Azure; needs no configuration')
    .option('--once', 'end by itself when the rows have arrived; a fault is ended when it was seen')
    .addOption(faultOption());

interface DemoOptions {
  readonly once?: boolean;
  readonly fault?: Fault;
}

export async function run(context: CommandContext, options: DemoOptions): Promise<number> {
  try {
    await using closing = new AsyncDisposableStack();
    const emulator = await startEmulator(emulatedStreams, { fault: options.fault ?? null });
    closing.defer(() => emulator.stop());
    const service = await startDemo(context, emulator, closing);
    return await show(context, emulator, service, options);
  } catch (error) {
    context.stderr.write(`the demo failed: ${(error as Error).message}\n`);
    return exitCodes.failed;
  }
}

async function show(
  context: CommandContext,
  emulator: Emulator,
  service: DemoService,
  { once, fault }: DemoOptions,
): Promise<number> {
  const { stdout } = context;
  const healthUrl = new URL('/healthz', service.webhookUrl);
  // From here on a signal ends the demo in order, so that no folder is left.
  const interrupted = Promise.withResolvers<'interrupted'>();
  onFirstSignal(context, () => interrupted.resolve('interrupted'));
  const expected = await sendSamples(stdout, service);
  const shown = new Map<string, number>();
  if (fault !== undefined) await showFault(stdout, emulator, fault, healthUrl);
  const admin = findAdminClient({ env: { ADMIN_PORT: service.pageUrl.port } });
  const dead = fault === 'refused' ? await showDeadLetters(stdout, admin, service.cli) : [];
  if (fault === undefined || once === true) {
    emulator.heal();
    if (dead.length > 0) {
      stdout.write('\nThe demo ends the fault and replays it.\n');
      await admin.replay(dead, { dryRun: false });
    }
    await emulator.waitForRows(expected, ARRIVAL_LIMIT_MS);
    if (fault !== undefined) await showHealed(stdout, emulator, expected, healthUrl);
    stdout.write(`\n${expected} rows arrived at the emulated Azure:\n`);
    printNew(stdout, emulator, shown);
    if (once === true) return exitCodes.done;
  } else {
    stdout.write(`\n${faultText(emulator.origin, fault)}\n`);
  }
  printNextSteps(stdout, service);
  const following = followRows(stdout, emulator, shown);
  const ended = await Promise.race([interrupted.promise, service.exited, following]);
  if (ended === 'interrupted') return exitCodes.done;
  throw new Error('the service ended by itself');
}

/**
 * Starts the real service with a fresh data folder that is removed at the end. It takes nothing from the environment, so
 * that each demo is the same. Its log lines that are worse than `info` go to stderr.
 */
async function startDemo({ stderr, version }: CommandContext, emulator: Emulator, closing: AsyncDisposableStack) {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-demo-'));
  closing.defer(() => rm(dataDir, { recursive: true, force: true }));
  // In place of NODE_EXTRA_CA_CERTS, which Node reads at its start only.
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), emulator.caPem]);
  const own = { HOST: '127.0.0.1', PORT: '0', ADMIN_PORT: '0', APONO_WEBHOOK_SECRET: DEMO_SECRET, DATA_DIR: dataDir };
  const exited = Promise.withResolvers<void>();
  const { config, problems } = loadConfig({ ...emulator.environment, ...own });
  if (config === null) throw misconfigured(problems);
  const log = createLogger('warn', stderr);
  const service = await startService({ config, version, clock: systemClock, log, onFatal: () => exited.resolve() });
  closing.defer(() => service.stop());
  const { port, adminPort } = service;
  return {
    webhookUrl: new URL(`http://127.0.0.1:${port}/apono/webhook`),
    /** Of the admin port. */
    pageUrl: new URL(`http://127.0.0.1:${adminPort}/`),
    /** What stands before a command for this service. */
    cli: `DATA_DIR=${dataDir} ADMIN_PORT=${adminPort} npm run --silent cli --`,
    /** Resolves when the service cannot go on. */
    exited: exited.promise,
  };
}

type DemoService = Awaited<ReturnType<typeof startDemo>>;

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
async function sendSamples(stdout: TextOutput, { webhookUrl }: DemoService): Promise<number> {
  stdout.write(`The service listens at ${webhookUrl.href}, an emulated Azure behind it.\n\n`);
  let rows = 0;
  for (const event of demoEvents(Date.now())) {
    const result = await sendHttp(webhookUrl, {
      headers: { authorization: `Bearer ${DEMO_SECRET}`, 'content-type': 'application/json' },
      body: event.body,
      timeLimitMs: SEND_LIMIT_MS,
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
  'event_time event_action action anomaly_type severity actor_id requester_email target_type target_name ' +
  'changed_fields integration_name integration_status issue_status issue_message summary resource_name permission ' +
  'justification body_form'
).split(' ');

/** `shown`: how many rows of each stream have been printed. */
function printNew(stdout: TextOutput, emulator: Emulator, shown: Map<string, number>): void {
  for (const { defaultStream, table } of kinds) {
    const rows = emulator.rows(defaultStream);
    const from = shown.get(defaultStream) ?? 0;
    shown.set(defaultStream, rows.length);
    const columns = COLUMNS.filter((column) => table.columns.some(({ name }) => name === column));
    const ids = rows.map(({ row_id: id }) => id);
    const arrivals = ids.map((id, index) => (ids.indexOf(id) < index ? 'again' : 'first')).slice(from);
    const cells = rows.slice(from).map((row) => columns.map((column) => cell(row[column])));
    if (arrivals.includes('again')) {
      columns.unshift('arrived');
      for (const [index, line] of cells.entries()) line.unshift(arrivals[index] ?? '');
    }
    if (cells.length > 0) stdout.write(`\n${table.name}\n\n${renderTable(columns, cells)}\n`);
  }
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  const shown = (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('\n', '⏎');
  return shown.length > 40 ? `${shown.slice(0, 39)}…` : shown;
}

function printNextSteps(stdout: TextOutput, { webhookUrl, pageUrl, cli }: DemoService): void {
  const health = new URL('/healthz', webhookUrl).href;
  const time = Math.floor(Date.now() / 1000);
  const body = `{"event_type":"RequestGranted","event_time":"${time}","data":{"id":"r-1","justification":"typed by me"}}`;
  stdout.write(`Look at the service in a browser: ${pageUrl.href}

Send one more:

  curl -i ${webhookUrl.href} -H 'Authorization: Bearer ${DEMO_SECRET}' -d '${body}'

Then try:
  - the same line again: "duplicate": true, and no new row; with another id it is another event
  - a wrong secret: 401; a body that is no JSON: 400, kept in quarantine
  - curl -s ${health}
  - ${cli} outbox list

New rows are shown here as they arrive. Ctrl-C ends the demo.
`);
}

/** Prints rows as they arrive. Never resolves. */
async function followRows(stdout: TextOutput, emulator: Emulator, shown: Map<string, number>): Promise<never> {
  for (;;) {
    const count = shown.values().reduce((sum, rows) => sum + rows, 0);
    await emulator.waitForRows(count + 1);
    printNew(stdout, emulator, shown);
  }
}
