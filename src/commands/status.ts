import type { Command } from 'commander';
import { createWaiter, systemClock } from '../ground/clock.ts';
import type { HistoryColumns } from '../http/history.ts';
import { bytes, duration, type StatusJson, usedText } from '../http/status.ts';
import { type CommandContext, CommandError, exitCodes, type JsonOption, onFirstSignal } from './context.ts';
import { findAdminClient } from './outbox/admin-client.ts';
import { cutToWidth, printable, renderTable, timeText, wholeNumber, wrap } from './text.ts';

export const define = (command: Command) =>
  command
    .description('what the page of the running service shows, for a terminal')
    .option('--watch', 'show it again and again, until Ctrl-C')
    .option('--interval <seconds>', 'how often --watch shows it', wholeNumber(1), 5)
    .option('--json', 'print JSON; with --watch one line each time');

interface StatusOptions extends JsonOption {
  readonly watch?: boolean;
  readonly interval: number;
}

const WIDTH = 80;
/** Half an hour each. */
const SPARKS = 48;
const MAX_REFUSALS = 10;

/** What is shown, by lines: `brief` are the problems without their fixes, for a screen that is too low for `toDo`. */
type Lines = Readonly<Record<'head' | 'toDo' | 'brief' | 'rest', readonly string[]>>;

/** Asks the admin port. Exit code 1 if nothing answers there or the service is failing, as in /healthz. */
export async function run(context: CommandContext, { watch, interval, json }: StatusOptions): Promise<number> {
  const client = findAdminClient(context);
  const { stdout, stderr } = context;
  const isScreen = watch === true && json !== true && stdout.isTTY === true;
  let shown: Lines = { head: [], toDo: [], brief: [], rest: [] };
  async function show(): Promise<number> {
    const [status, history] = await Promise.all([client.status(), client.history()]);
    const exitCode = status.health.status === 'failing' ? exitCodes.failed : exitCodes.done;
    if (json === true) {
      stdout.write(`${printable(JSON.stringify(status, null, watch === true ? 0 : 2))}\n`);
      return exitCode;
    }
    shown = linesOf(status, history, isScreen ? Math.min(WIDTH, stdout.columns || WIDTH) : WIDTH);
    if (isScreen) drawScreen(context, shown);
    else stdout.write([...shown.head, ...shown.toDo, ...shown.rest, ''].join('\n'));
    return exitCode;
  }
  if (watch !== true) return show();
  const ending = new AbortController();
  onFirstSignal(context, () => ending.abort());
  const waiter = createWaiter(systemClock, ending.signal);
  // What is wrong at once is most likely the address or the token; later the service may be restarting.
  await show();
  for (;;) {
    await waiter.until(interval * 1_000);
    if (ending.signal.aborted) return exitCodes.done;
    await show().catch((error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
      const said = `${timeText(systemClock.now())} ${printable(error.message)}`;
      // What was last known stays on a screen, below.
      if (isScreen) drawScreen(context, { ...shown, head: [...wrap(said, WIDTH), '', ...shown.head] });
      else stderr.write(`${said}\n`);
    });
  }
}

/**
 * Writes over what was there before, from the first column of the first line: each line deletes what was to its right, the
 * last one what was below. What the screen does not hold is left out from the end, so that nothing scrolls away.
 */
function drawScreen({ stdout }: CommandContext, { head, toDo, brief, rest }: Lines): void {
  // Some terminals do not know their size, and say 0.
  const [rows, columns] = [stdout.rows || 24, stdout.columns || WIDTH];
  const all = [...head, ...(head.length + toDo.length < rows ? toDo : brief), ...rest];
  // The cursor stands in the last line of the screen.
  const note = `… ${all.length - rows + 2} more lines: enlarge the window, or leave out --watch`;
  const lines = all.length < rows ? all : [...all.slice(0, rows - 2), note];
  stdout.write(`\u001b[H${lines.map((line) => `${cutToWidth(line, columns)}\u001b[K\n`).join('')}\u001b[J`);
}

function linesOf(status: StatusJson, history: HistoryColumns, width: number): Lines {
  const { now, sentence, health, outbox, disk } = status;
  const { waiting, held, dead, quarantined, oldest_age_seconds: oldest } = health.outbox;
  const problem = ({ code, message }: { code: string; message: string }) => wrap(`${message} (${code})`, width, '! ');
  const free = disk === null ? 'not known' : `${bytes(disk.free_bytes)} of ${bytes(disk.size_bytes)}`;
  const [tokenEnds, credentialEnds] = [health.token_expires_at, status.credential_expires_at];
  return {
    head: [
      ...wrap(sentence, width),
      `Version ${health.version}, running for ${duration(health.uptime_seconds)}, at ${time(now)}`,
      '',
      ...table(
        ['WAITING', 'HELD', 'DEAD', 'QUARANTINED', 'OLDEST WAITS'],
        [[waiting, held, dead, quarantined, oldest === null ? null : duration(oldest)]],
      ),
    ],
    toDo: status.to_do.flatMap(({ fix, problems }) => ['', ...problems.flatMap(problem), ...wrap(fix, width, '  ')]),
    brief: status.to_do.flatMap(({ problems }) => problems.map((one) => problem(one)[0] ?? '')),
    // A low screen leaves out the end: what was, and not what is.
    rest: [
      '',
      ...feeds(status),
      ...refusals(status),
      '',
      `Token ends ${time(tokenEnds, 'not known')}; credential ends ${time(credentialEnds, 'not known')}`,
      `Webhook secret in use since ${time(status.webhook_secret_since)}`,
      `Outbox ${outbox === null ? 'unknown' : `${usedText(outbox)}, its write-ahead log ${bytes(outbox.log_bytes)}`}`,
      `Free on the disk ${free}`,
      ...sparklines(history),
      ...triggers(status),
    ].map((line) => cutToWidth(line, width)),
  };
}

function time(iso: string | null, none = 'not since the start'): string {
  return iso === null ? none : timeText(iso);
}

function table(head: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string[] {
  const cells = rows.map((row) => row.map((value) => value ?? '?'));
  return renderTable(head, cells).trimEnd().split('\n');
}

function feeds({ feeds: all }: StatusJson): string[] {
  const rows = all.map((one) => [one.kind, one.state, one.to_send, time(one.last_accepted), time(one.last_delivered)]);
  return table(['WEBHOOK', 'STATE', 'TO SEND', 'LAST ACCEPTED', 'LAST DELIVERED'], rows);
}

function triggers({ feeds }: StatusJson): string[] {
  const actions = feeds.flatMap(({ kind, actions }) =>
    actions.map((one) => [
      kind,
      one.action,
      time(one.last_accepted, 'not seen yet'),
      time(one.last_delivered, 'not yet'),
    ]),
  );
  return ['', ...table(['WEBHOOK', 'EVENT', 'LAST ACCEPTED', 'LAST DELIVERED'], actions)];
}

function refusals({ refusals: refused }: StatusJson): string[] {
  if (refused.length === 0) return [];
  const rows = refused
    .slice(0, MAX_REFUSALS)
    .map((one) => [one.count, one.code, `${one.last_at?.slice(11, 16)}Z`, one.client_address ?? '(has the secret)']);
  const more = refused.length > MAX_REFUSALS ? [`… and ${refused.length - MAX_REFUSALS} more`] : [];
  return ['', 'Refused within the last hour', ...table(['REQUESTS', 'CODE', 'LAST', 'FROM'], rows), ...more];
}

type Values = readonly (number | null)[];
type Join = (values: readonly number[]) => number;

function sparklines(history: HistoryColumns): string[] {
  const sum: Join = (values) => values.reduce((total, value) => total + value, 0);
  const most: Join = (values) => Math.max(0, ...values);
  return [
    '',
    `${'The last 24 hours, half an hour a column'.padEnd(66)} total or most`,
    sparkline('Rows accepted', history.rows_accepted, sum, String),
    sparkline('Rows delivered', history.rows_delivered, sum, String),
    sparkline('Refused', history.requests_refused, sum, String),
    sparkline('Oldest waited', history.oldest_waiting_seconds, most, duration),
    sparkline('Slowest delivery', history.delivery_max_seconds, most, duration),
  ];
}

/** A column of blanks is a time for which nothing is known. The height is relative to the highest column. */
function sparkline(label: string, column: Values, join: Join, figure: (joined: number) => string): string {
  const size = column.length / SPARKS;
  const joinKnown = (values: Values): number | null => {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? null : join(known);
  };
  const joined = [...Array(SPARKS).keys()].map((index) => joinKnown(column.slice(index * size, (index + 1) * size)));
  const top = Math.max(...joined.map((value) => value ?? 0));
  const bars = joined.map((value) => {
    if (value === null) return ' ';
    return value === 0 ? '▁' : (['▂', '▃', '▄', '▅', '▆', '▇', '█'][Math.ceil((value / top) * 7) - 1] ?? '█');
  });
  return `${label.padEnd(17)} ${bars.join('')} ${figure(joinKnown(column) ?? 0).padStart(13)}`;
}
