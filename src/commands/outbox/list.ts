import type { OperatorState, OutboxOperator, RecordJson } from '../../outbox/operator.ts';
import { type CommandContext, exitCodes } from '../context.ts';
import { printable, renderTable, timeText } from '../text.ts';
import { withOperator } from './connect.ts';
import { pagesOf } from './pages.ts';

export interface ListOptions {
  readonly state?: OperatorState;
  readonly kind?: string;
  readonly limit: number;
  readonly all?: boolean;
  readonly json?: boolean;
}

interface Listed {
  readonly state: OperatorState;
  readonly record: RecordJson;
}

const PAGE_SIZE = 1_000;
/** What needs a person comes first. */
const everyState: readonly OperatorState[] = ['dead', 'quarantined', 'held', 'waiting'];

/** Lists records, oldest first of each state; an event with rows of both kinds is dead and waiting, and shown as both. */
export function list(context: CommandContext, options: ListOptions): Promise<number> {
  return withOperator(context, async ({ operator }) => {
    const { listed, more } = await collect(context, operator, options);
    if (options.json === true) {
      const records = listed.map(({ state, record }) => ({ state, ...record }));
      context.stdout.write(`${JSON.stringify({ records, more }, null, 2)}\n`);
    } else {
      context.stdout.write(renderTable(head, listed.map(cells)));
    }
    if (more) context.stderr.write(`There are more than ${listed.length}: see them with --all or a larger --limit.\n`);
    return exitCodes.done;
  });
}

const head = ['ID', 'STATE', 'KIND', 'RECEIVED', 'ROWS', 'PENDING', 'DEAD', 'CODE'];

function cells({ state, record }: Listed): string[] {
  const { id, kind, received_at: receivedAt, rows, pending_rows: pendingRows, dead_rows: deadRows, code } = record;
  const numbers = [rows, pendingRows, deadRows].map(String);
  return [id, state, kind ?? '-', timeText(Date.parse(receivedAt)), ...numbers, code ?? '-'].map(printable);
}

/** One more than is asked for, to know whether there are more. */
async function collect(
  { stderr }: CommandContext,
  operator: OutboxOperator,
  options: ListOptions,
): Promise<{ readonly listed: readonly Listed[]; readonly more: boolean }> {
  const limit = options.all === true ? Number.POSITIVE_INFINITY : options.limit;
  const listed: Listed[] = [];
  for (const state of options.state === undefined ? everyState : [options.state]) {
    const selection = { state, ...(options.kind !== undefined && { kind: options.kind }) };
    for await (const records of pagesOf(operator, selection, Math.min(PAGE_SIZE, limit + 1))) {
      listed.push(...records.map((record) => ({ state, record })));
      if (listed.length > limit) return { listed: listed.slice(0, limit), more: true };
      if (records.length === PAGE_SIZE) stderr.write(`${listed.length} records …\n`);
    }
  }
  return { listed, more: false };
}
