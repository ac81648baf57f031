import { detailJson } from '../../outbox/operator-json.ts';
import type { DeadLetter, RecordDetail } from '../../outbox/records.ts';
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

function renderJson(record: RecordDetail, options: ShowOptions): string {
  const whole: Readonly<Record<string, unknown>> = detailJson(record);
  const members = Object.entries(whole).filter(
    ([name]) => options.body === true || (name !== 'body' && name !== 'body_base64'),
  );
  return `${JSON.stringify(Object.fromEntries(members), null, 2)}\n`;
}

function render(record: RecordDetail, options: ShowOptions): string {
  const letters = record.deadLetters;
  const deadLetters = letters.length === 0 ? '' : `\n${renderTable(head, letters.map(cells))}`;
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(record.body);
  const body = options.body === true ? `\n${printable(text)}\n` : '';
  return `${fields(record)}${deadLetters}${body}`;
}

function fields(record: RecordDetail): string {
  const isEvent = record.type === 'event';
  const lines: (readonly [string, string | number | null])[] = [
    ['id', record.id],
    ['type', record.type],
    ['kind', record.kind],
    ['received', timeText(record.receivedAt)],
    ['feed', record.feed],
    ['body form', record.meta?.bodyForm ?? null],
    ['body bytes', record.bodyBytes],
    ['rows', isEvent ? record.rowCount : null],
    ['rows pending', isEvent ? rangesText(record.pending) || 'none' : null],
    ['rows dead', isEvent ? record.deadRows : null],
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

function cells({ rows, buriedAt, code, reason }: DeadLetter): string[] {
  return [rangesText(rows), timeText(buriedAt), code, printable(reason).replaceAll(/\s+/g, ' ')];
}
