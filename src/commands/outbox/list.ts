import { type Command, Option } from 'commander';
import { type OperatorState, type OutboxOperator, operatorStates, type RecordJson } from '../../outbox/operator.ts';
import { type CommandContext, exitCodes, printResult } from '../context.ts';
import { kindOption } from '../template.ts';
import { renderTable, timeText, wholeNumber } from '../text.ts';
import { withOperator } from './connect.ts';
import { type ChoiceOptions, pagesOf } from './selection.ts';

export const define = (command: Command) =>
  command
    .description('list records: dead, quarantined, held, then waiting ones, of each state the oldest first')
    .addOption(new Option('--state <state>', 'only those of this state').choices(operatorStates))
    .addOption(kindOption('only events of this kind'))
    .option('--limit <number>', 'at most so many', wholeNumber(1), 100)
    .option('--all', 'all of them')
    .option('--json', 'print JSON');

type ListOptions = Omit<ChoiceOptions, 'code'> & { readonly limit: number };
type Listed = RecordJson & { readonly state: OperatorState };

const PAGE_SIZE = 1_000;
/** What needs a person comes first. */
const everyState: readonly OperatorState[] = ['dead', 'quarantined', 'held', 'waiting'];

/** An event with rows of both kinds is dead and waiting, and shown as both. */
export function run(context: CommandContext, options: ListOptions): Promise<number> {
  return withOperator(context, async ({ operator }) => {
    const { records, more } = await collect(context, operator, options);
    printResult(context, options, { records, more }, renderTable(head, records.map(cells)));
    if (more) context.stderr.write(`There are more than ${records.length}: see them with --all or a larger --limit.\n`);
    return exitCodes.done;
  });
}

const head = ['ID', 'STATE', 'KIND', 'RECEIVED', 'ROWS', 'PENDING', 'DEAD', 'CODE'];

function cells({ id, state, kind, received_at: received, rows, ...record }: Listed) {
  return [id, state, kind ?? '-', timeText(received), rows, record.pending_rows, record.dead_rows, record.code ?? '-'];
}

/** One more than is asked for, to know whether there are more. */
async function collect({ stderr }: CommandContext, operator: OutboxOperator, options: ListOptions) {
  const limit = options.all === true ? Number.POSITIVE_INFINITY : options.limit;
  const listed: Listed[] = [];
  for (const state of options.state === undefined ? everyState : [options.state]) {
    for await (const records of pagesOf(operator, { ...options, state }, Math.min(PAGE_SIZE, limit + 1))) {
      listed.push(...records.map((record) => ({ state, ...record })));
      if (listed.length > limit) return { records: listed.slice(0, limit), more: true };
      if (records.length === PAGE_SIZE) stderr.write(`${listed.length} records …\n`);
    }
  }
  return { records: listed, more: false };
}
