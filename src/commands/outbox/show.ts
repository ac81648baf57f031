import type { DeadLetterJson, DetailJson } from '../../outbox/operator.ts';
import { type CommandContext, exitCodes } from '../context.ts';
import { printable, renderTable, timeText } from '../text.ts';
import { withOperator } from './connect.ts';
import { rangesText } from './text.ts';

export interface ShowOptions {
  /** The body may hold what a requester typed: only for who asks for it. */
  readonly body?: boolean;
  readonly json?: boolean;
}

/** One record: what is known of it, its dead letters, and with `body` the body. */
export function show(context: CommandContext, id: string, options: ShowOptions): Promise<number> {
  return withOperator(context, async ({ operator }) => {
    const record = await operator.show(id);
    if (record === null) {
      context.stderr.write(
        `No record has the id ${printable(id)} now: it was delivered or purged, or it never existed.\n`,
      );
      return exitCodes.failed;
    }
    context.stdout.write(options.json === true ? renderJson(record, options) : render(record, options));
    return exitCodes.done;
  });
}

function renderJson(record: DetailJson, options: ShowOptions): string {
  const members = Object.entries(record).filter(
    ([name]) => options.body === true || (name !== 'body' && name !== 'body_base64'),
  );
  return `${JSON.stringify(Object.fromEntries(members), null, 2)}\n`;
}

function render(record: DetailJson, options: ShowOptions): string {
  const { dead_letters: letters } = record;
  const deadLetters = letters.length === 0 ? '' : `\n${renderTable(head, letters.map(cells))}`;
  const text = record.body ?? Buffer.from(record.body_base64, 'base64').toString();
  const body = options.body === true ? `\n${printable(text)}\n` : '';
  return `${fields(record)}${deadLetters}${body}`;
}

function fields(record: DetailJson): string {
  const isEvent = record.type === 'event';
  const lines: (readonly [string, string | number | null])[] = [
    ['id', record.id],
    ['type', record.type],
    ['kind', record.kind],
    ['received', timeText(Date.parse(record.received_at))],
    ['feed', record.feed],
    ['body bytes', record.body_bytes],
    ['rows', isEvent ? record.rows : null],
    ['rows pending', isEvent ? rangesText(record.pending) || 'none' : null],
    ['rows dead', isEvent ? record.dead_rows : null],
    // Each dead letter has its own, in the table.
    ['code', isEvent ? null : record.code],
    ['reason', isEvent ? null : record.reason],
  ];
  return lines
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${`${name}:`.padEnd(14)}${printable(String(value)).replaceAll(/\s+/g, ' ')}\n`)
    .join('');
}

const head = ['DEAD ROWS', 'BURIED', 'CODE', 'REASON'];

function cells({ rows, buried_at: buriedAt, code, reason }: DeadLetterJson): string[] {
  return [rangesText(rows), timeText(Date.parse(buriedAt)), code, printable(reason).replaceAll(/\s+/g, ' ')];
}
