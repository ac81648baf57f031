import { type Emulator, startEmulator } from '../emulator/emulator.ts';
import { kinds } from '../kinds/registry.ts';
import { type CommandContext, exitCodes, type TextOutput } from './context.ts';
import { demoEvents } from './demo-events.ts';
import { DEMO_SECRET, type DemoService, startDemoService } from './demo-service.ts';
import { sendHttp } from './local-service.ts';
import { renderTable } from './text.ts';

const ARRIVAL_LIMIT_MS = 30_000;
const SEND_LIMIT_MS = 10_000;

export interface DemoOptions {
  /** End when the rows have arrived, instead of running on. */
  readonly once?: boolean;
}

/** Shows the whole way without Azure and without configuration: sample events, the real service, an emulator, the rows. */
export async function demo(context: CommandContext, options: DemoOptions): Promise<number> {
  const streams = kinds.map(({ defaultStream, table }) => [defaultStream, table.columns] as const);
  const emulator = await startEmulator(Object.fromEntries(streams));
  try {
    const service = await startDemoService(context, emulator);
    try {
      return await run(context, options, emulator, service);
    } finally {
      await service.stop();
    }
  } catch (error) {
    context.stderr.write(`the demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodes.failed;
  } finally {
    await emulator.stop();
  }
}

async function run(
  context: CommandContext,
  options: DemoOptions,
  emulator: Emulator,
  service: DemoService,
): Promise<number> {
  const { stdout } = context;
  // From here on a signal ends the demo in order, so that no process and no folder is left.
  const interrupted = Promise.withResolvers<'interrupted'>();
  context.onSignal(() => interrupted.resolve('interrupted'));
  const expected = await sendSamples(stdout, service);
  await emulator.waitForRows(expected, ARRIVAL_LIMIT_MS);
  stdout.write(`\n${expected} rows arrived at the emulated Azure:\n`);
  const shown = new Map<string, number>();
  printNew(stdout, emulator, shown);
  if (options.once) return exitCodes.done;
  printNextSteps(stdout, service);
  const following = followRows(stdout, emulator, shown);
  const ended = await Promise.race([interrupted.promise, service.exited, following]);
  if (ended === 'interrupted') return exitCodes.done;
  context.stderr.write('the service ended by itself\n');
  return exitCodes.failed;
}

/** Returns how many rows must arrive. Rejects when an event is not accepted. */
async function sendSamples(stdout: TextOutput, service: DemoService): Promise<number> {
  stdout.write(`The service listens at ${service.webhookUrl.href}, an emulated Azure behind it.\n\n`);
  let rows = 0;
  for (const event of demoEvents(Date.now())) {
    const result = await sendHttp(service.webhookUrl, {
      method: 'POST',
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
const COLUMNS = [
  'event_time',
  'event_action',
  'action',
  'anomaly_type',
  'severity',
  'actor_id',
  'requester_email',
  'target_type',
  'target_name',
  'changed_fields',
  'integration_name',
  'integration_status',
  'issue_status',
  'issue_message',
  'summary',
  'resource_name',
  'permission',
  'justification',
  'body_form',
];

/** `shown`: how many rows of each stream have been printed. */
function printNew(stdout: TextOutput, emulator: Emulator, shown: Map<string, number>): void {
  for (const { defaultStream, table } of kinds) {
    const rows = emulator.rows(defaultStream);
    const unseen = rows.slice(shown.get(defaultStream));
    shown.set(defaultStream, rows.length);
    const columns = COLUMNS.filter((column) => table.columns.some(({ name }) => name === column));
    const cells = unseen.map((row) => columns.map((column) => cell(row[column])));
    if (unseen.length > 0) stdout.write(`\n${table.name}\n\n${renderTable(columns, cells)}\n`);
  }
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const shown = text.replaceAll('\n', '⏎');
  return shown.length > 40 ? `${shown.slice(0, 39)}…` : shown;
}

function printNextSteps(stdout: TextOutput, { webhookUrl }: DemoService): void {
  const health = new URL('/healthz', webhookUrl).href;
  const body =
    '{"event_type":"RequestGranted","event_time":"\'$(date +%s)\'","data":{"id":"r-1","justification":"typed by me"}}';
  stdout.write(`Send one more:

  curl -i ${webhookUrl.href} -H 'Authorization: Bearer ${DEMO_SECRET}' -d '${body}'

Then try:
  - the same line again within the second: "duplicate": true, and no new row
  - a wrong secret: 401; a body that is no JSON: 400, kept in quarantine
  - curl -s ${health}

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
