import { type Emulator, startEmulator } from '../emulator/emulator.ts';
import { kinds } from '../kinds/registry.ts';
import type { Row } from '../sentinel/row.ts';
import { type CommandContext, exitCodes, type TextOutput } from './context.ts';
import { demoEvents } from './demo-events.ts';
import { type DemoService, startDemoService } from './demo-service.ts';
import { sendHttp } from './http-request.ts';
import { renderTable } from './table.ts';

/** Shown to everybody who runs the demo: it protects nothing. */
const DEMO_SECRET = 'demo-secret-of-no-value';
const ARRIVAL_LIMIT_MS = 30_000;
const SEND_LIMIT_MS = 10_000;
const LONGEST_WAIT_MS = 2 ** 31 - 1;
const STREAMS = Object.fromEntries(kinds.map((kind) => [kind.defaultStream, kind.table.columns]));

export interface DemoOptions {
  /** End when the rows have arrived, instead of running on. */
  readonly once?: boolean;
}

/** The whole way without Azure and without configuration: emulator, real service, Apono's sample events, their rows. */
export async function demo(context: CommandContext, options: DemoOptions): Promise<number> {
  const emulator = await startEmulator({ streams: STREAMS });
  try {
    const service = await startDemoService(context, emulator, DEMO_SECRET);
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
  // From here on a signal ends the demo in order, to the very end: no process and no folder stays behind.
  const interrupted = Promise.withResolvers<'interrupted'>();
  context.onSignal(() => interrupted.resolve('interrupted'));
  const expected = await sendSamples(stdout, service);
  await emulator.waitFor(() => allRows(emulator).length >= expected, ARRIVAL_LIMIT_MS);
  printRows(stdout, `${expected} rows arrived at the emulated Azure:`, allRows(emulator));
  if (options.once) return exitCodes.done;
  printNextSteps(stdout, service);
  const following = followRows(stdout, emulator, expected);
  const ended = await Promise.race([interrupted.promise, service.exited, following]);
  if (ended === 'interrupted') return exitCodes.done;
  context.stderr.write('the service ended by itself\n');
  return exitCodes.failed;
}

/** How many rows they must become. Rejects when one is not accepted. */
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
  const { status, event_id: eventId, rows, duplicate } = JSON.parse(body) as Record<string, unknown>;
  return JSON.stringify({ status, event_id: `${String(eventId).slice(0, 12)}…`, rows, duplicate });
}

function allRows(emulator: Emulator): readonly Row[] {
  return Object.keys(STREAMS).flatMap((stream) => emulator.rows(stream));
}

function printRows(stdout: TextOutput, title: string, rows: readonly Row[]): void {
  const columns = [
    'event_time',
    'event_action',
    'requester_email',
    'resource_name',
    'permission',
    'justification',
    'body_form',
  ];
  const cells = rows.map((row) => columns.map((column) => cell(row[column])));
  stdout.write(`\n${title}\n\n${renderTable(columns, cells)}\n`);
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

/** Prints what arrives, for ever. */
async function followRows(stdout: TextOutput, emulator: Emulator, shown: number): Promise<never> {
  for (let seen = shown; ; seen = allRows(emulator).length) {
    await emulator.waitFor(() => allRows(emulator).length > seen, LONGEST_WAIT_MS);
    printRows(stdout, 'arrived:', allRows(emulator).slice(seen));
  }
}
