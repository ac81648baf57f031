import type { Command } from 'commander';
import { createWaiter, systemClock } from '../ground/clock.ts';
import type { HistoryColumns } from '../http/history.ts';
import { bytes, duration, type StatusJson } from '../http/status.ts';
import { type CommandContext, CommandError, exitCodes, type JsonOption, onFirstSignal } from './context.ts';
import { findAdminClient } from './outbox/admin-client.ts';
import { cutToWidth, printable, renderTable, timeText, wholeNumber, wrap } from './text.ts';

export const define = (command: Command) =>
  command
    .description('what the page of the running service shows, for a terminal')
    .option('--watch', 'show it again and again, until Ctrl-C')
    .option('--interval <seconds>', 'how often --watch shows it', wholeNumber, 5)
    .option('--json', 'print JSON; with --watch one line each time');

interface StatusOptions extends JsonOption {
  readonly watch?: boolean;
  readonly interval: number;
}

const WIDTH = 80;
/** Half an hour each. */
const SPARKS = 48;

/** Asks the admin port. Exit code 1 if nothing answers there or the service is failing, as in /healthz. */
export async function run(context: CommandContext, options: StatusOptions): Promise<number> {
  const client = findAdminClient(context);
  async function show(): Promise<number> {
    const [status, history] = await Promise.all([client.status(), client.history()]);
    const json = (): string => `${JSON.stringify(status, null, options.watch === true ? 0 : 2)}\n`;
    draw(context, options, options.json === true ? json() : render(status, history));
    return status.health.status === 'failing' ? exitCodes.failed : exitCodes.done;
  }
  if (options.watch !== true) return show();
  const ending = new AbortController();
  onFirstSignal(context, () => ending.abort());
  const waiter = createWaiter(systemClock, ending.signal);
  // What is wrong at once is most likely the address or the token; later the service may be restarting.
  await show();
  for (;;) {
    await waiter.until(options.interval * 1_000);
    if (ending.signal.aborted) return exitCodes.done;
    await show().catch((error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
      context.stderr.write(`${timeText(systemClock.now())} ${printable(error.message)}\n`);
    });
  }
}

/** On a terminal --watch writes over what was there before; elsewhere one text follows the other. */
function draw({ stdout }: CommandContext, { watch, json }: StatusOptions, text: string): void {
  const shown = printable(text);
  const isScreen = watch === true && json !== true && stdout.isTTY === true;
  // To the first column of the first line; each line deletes what was to its right, the last one what was below.
  stdout.write(isScreen ? `\u001b[H${shown.replaceAll('\n', '\u001b[K\n')}\u001b[J` : shown);
}

function render(status: StatusJson, history: HistoryColumns): string {
  const { now, sentence, health, outbox, disk } = status;
  const { waiting, held, dead, quarantined, oldest_age_seconds: oldest } = health.outbox;
  const used = outbox === null ? 'unknown' : `${bytes(outbox.used_bytes)} of ${bytes(outbox.max_bytes)}`;
  const free = disk === null ? 'not known' : `${bytes(disk.free_bytes)} of ${bytes(disk.size_bytes)}`;
  const parts = [
    sentence,
    `Version ${health.version}, running for ${duration(health.uptime_seconds)}, at ${time(now)}`,
    ...status.to_do.map(({ fix, problems }) => {
      const said = problems.map(({ code, message }) => `! ${indent(`${message} (${code})`)}\n`);
      return `\n${said.join('')}  ${indent(fix)}`;
    }),
    '',
    ...table(
      ['WAITING', 'HELD', 'DEAD', 'QUARANTINED', 'OLDEST WAITS'],
      [[waiting, held, dead, quarantined, oldest === null ? null : duration(oldest)]],
    ),
    ...sparklines(history),
    '',
    ...table(
      ['WEBHOOK', 'STATE', 'WAITING', 'LAST ACCEPTED', 'LAST DELIVERED'],
      status.feeds.map(({ kind, stream, hold, waiting: count, last_accepted: accepted, last_delivered: delivered }) => [
        ...[kind, stream === 'off' ? 'off' : hold === null ? 'delivering' : 'on hold', count],
        ...[time(accepted), time(delivered)],
      ]),
    ),
    ...triggers(status),
    ...refusals(status),
    '',
    `Token ends ${time(health.token_expires_at)}; credential ends ${time(status.credential_expires_at, 'not known')}`,
    `Outbox ${used}; free on the disk ${free}`,
  ];
  return `${parts
    .flatMap((part) => part.split('\n'))
    .map((line) => cutToWidth(line, WIDTH))
    .join('\n')}\n`;
}

function time(iso: string | null, none = 'never'): string {
  return iso === null ? none : timeText(Date.parse(iso));
}

/** The lines of a text, all but the first by two columns to the right. */
function indent(text: string): string {
  return wrap(printable(text), WIDTH - 2).join('\n  ');
}

function table(head: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string[] {
  const cells = rows.map((row) => row.map((value) => (value === null ? '?' : printable(String(value)))));
  return renderTable(head, cells).trimEnd().split('\n');
}

function triggers({ feeds }: StatusJson): string[] {
  const actions = feeds.flatMap((feed) =>
    feed.actions.map((one) => [feed.kind, one.action, one.last_accepted] as const),
  );
  const rows = actions.map(([kind, action, at]) => [kind, action, time(at, 'not seen yet')]);
  return ['', ...table(['WEBHOOK', 'EVENT', 'LAST ACCEPTED'], rows)];
}

function refusals({ refusals: refused }: StatusJson): string[] {
  if (refused.length === 0) return [];
  const rows = refused
    .slice(0, 10)
    .map(({ count, code, client_address: address, last_at: at }) => [
      count,
      code,
      time(at),
      address ?? '(has the secret)',
    ]);
  return ['', 'Refused within the last hour', ...table(['REQUESTS', 'CODE', 'LAST', 'FROM'], rows)];
}

type Values = readonly (number | null)[];

function sparklines(history: HistoryColumns): string[] {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const most = (values: readonly number[]): number => Math.max(0, ...values);
  const counted = (label: string, column: Values): string =>
    sparkline(label, column, sum, String(sum(column.filter((value) => value !== null))));
  const longest = (label: string, column: Values): string =>
    sparkline(label, column, most, duration(most(column.filter((value) => value !== null))));
  return [
    '',
    `${'The last 24 hours, half an hour a column'.padEnd(66)} total or most`,
    counted('Rows accepted', history.rows_accepted),
    counted('Rows delivered', history.rows_delivered),
    counted('Refused', history.requests_refused),
    longest('Oldest waited', history.oldest_waiting_seconds),
    longest('Slowest delivery', history.delivery_max_seconds),
  ];
}

/** A column of blanks is a time for which nothing is known. The height is relative to the highest column. */
function sparkline(label: string, column: Values, join: (values: readonly number[]) => number, figure: string): string {
  const size = column.length / SPARKS;
  const joined = [...Array(SPARKS).keys()].map((index) => {
    const known = column.slice(index * size, (index + 1) * size).filter((value) => value !== null);
    return known.length === 0 ? null : join(known);
  });
  const top = Math.max(...joined.map((value) => value ?? 0));
  const bars = joined.map((value) => {
    if (value === null) return ' ';
    return value === 0 ? '▁' : (['▂', '▃', '▄', '▅', '▆', '▇', '█'][Math.ceil((value / top) * 7) - 1] ?? '█');
  });
  return `${label.padEnd(17)} ${bars.join('')} ${figure.padStart(13)}`;
}
