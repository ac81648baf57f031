import type { Command } from 'commander';
import type { DeadLetterJson, DetailJson, GoneJson } from '../../outbox/operator.ts';
import { rangesText } from '../../outbox/rows.ts';
import { type CommandContext, exitCodes, failed, type JsonOption, printResult } from '../context.ts';
import { plural, renderTable, timeText } from '../text.ts';
import { withOperator } from './connect.ts';

export const define = (command: Command) =>
  command
    .argument('<id>')
    .description('show one record and its dead letters')
    .option('--body', 'and its body')
    .option('--json', 'print JSON');

type ShowOptions = JsonOption & { readonly body?: boolean };

/** One record, its dead letters, and with `body` the body, which may hold what a requester typed. */
export function run(context: CommandContext, id: string, options: ShowOptions): Promise<number> {
  return withOperator(context, async ({ operator }) => {
    const record = await operator.show(id);
    if (record === null) throw failed(`record_not_found: ${whyMissing(id, await operator.gone(id))}`);
    const { body, body_base64: base64, ...others } = record;
    const text = body ?? Buffer.from(base64, 'base64').toString();
    const shownBody = options.body === true ? `\n${text}\n` : '';
    printResult(context, options, options.body === true ? record : others, `${render(record)}${shownBody}`);
    return exitCodes.done;
  });
}

function whyMissing(id: string, gone: GoneJson | null): string {
  if (gone === null) return `No record has the id ${id}: it never existed, or is no longer remembered.`;
  const [received, ended] = [gone.received_at, gone.gone_at].map(timeText);
  const rows = gone.rows > 0 ? ` (${plural(gone.rows, 'row')})` : '';
  return `No record is left of ${gone.id}. ${received}: accepted and stored${rows}. ${ended}: ${gone.what}.`;
}

function render(record: DetailJson): string {
  const isEvent = record.type === 'event';
  const pending = record.pending_rows === 0 ? '' : ` (row ${rangesText(record.pending)})`;
  const fields: Readonly<Record<string, string | number | null>> = {
    id: record.id,
    type: record.type,
    kind: record.kind,
    received: timeText(record.received_at),
    feed: record.feed,
    'body bytes': record.body_bytes,
    ...(isEvent
      ? { rows: record.rows, 'rows pending': `${record.pending_rows}${pending}`, 'rows dead': record.dead_rows }
      : // Each dead letter of an event has its own, in the table.
        { code: record.code, reason: record.reason }),
  };
  const lines = Object.entries(fields)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${`${name}:`.padEnd(14)}${String(value).replaceAll(/\s+/g, ' ')}\n`);
  const { dead_letters: letters } = record;
  return `${lines.join('')}${letters.length === 0 ? '' : `\n${renderTable(head, letters.map(cells))}`}`;
}

const head = ['DEAD ROWS', 'BURIED', 'CODE', 'REASON'];

function cells({ rows, buried_at: buriedAt, code, reason }: DeadLetterJson): string[] {
  return [rangesText(rows), timeText(buriedAt), code, reason.replaceAll(/\s+/g, ' ')];
}
