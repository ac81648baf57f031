import type { OutboxOperator, ReplayResult } from '../../outbox/operator.ts';
import { type CommandContext, exitCodes, wrongUsage } from '../context.ts';
import { plural, printable, renderTable } from '../text.ts';
import { type Choice, type ChoiceOptions, inBatches, readChoice } from './choice.ts';
import { type Connected, withOperator } from './connect.ts';
import { pagesOf } from './pages.ts';
import { rangesText } from './text.ts';

export interface ReplayOptions extends ChoiceOptions {
  /** Only shows what would be sent. */
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Of one request: each may hold a body that is read again. */
const BATCH_SIZE = 100;

/**
 * Sends the dead rows of events again, and reads quarantined bodies again. Exit code 1 when a record was not replayed
 * that should have been.
 */
export async function replay(context: CommandContext, ids: readonly string[], options: ReplayOptions): Promise<number> {
  const choice = readChoice(ids, options);
  if (choice.type === 'wrong') return wrongUsage(context, choice.message);
  const dryRun = options.dryRun === true;
  return withOperator(context, async ({ operator, through }) => {
    const results: ReplayResult[] = [];
    for await (const batch of batchesOf(operator, choice)) {
      if (batch.length === 0) continue;
      if (results.length > 0) context.stderr.write(`${results.length} records …\n`);
      results.push(...(await operator.replay(batch, { dryRun })));
    }
    if (options.json === true) {
      context.stdout.write(`${JSON.stringify({ dry_run: dryRun, results }, null, 2)}\n`);
    } else {
      context.stdout.write(renderTable(head, results.flatMap(cells)));
    }
    const failed = results.filter((result) => isFailure(result, choice));
    context.stderr.write(summary(results, { dryRun, through }));
    return failed.length === 0 ? exitCodes.done : exitCodes.failed;
  });
}

async function* batchesOf(
  operator: OutboxOperator,
  choice: Exclude<Choice, { type: 'wrong' }>,
): AsyncGenerator<readonly string[]> {
  if (choice.type === 'ids') return yield* inBatches(choice.ids, BATCH_SIZE);
  // Records that go meanwhile move no other, and one that is buried again keeps its place behind us: this ends.
  for await (const page of pagesOf(operator, choice.selection, BATCH_SIZE)) yield page.map(({ id }) => id);
}

/** Of a list, a record that is not there any more was replayed or purged meanwhile by somebody else. */
function isFailure({ outcome }: ReplayResult, choice: Choice): boolean {
  if (outcome === 'nothing_to_replay') return choice.type === 'ids';
  return outcome === 'still_refused' || outcome === 'unavailable';
}

const head = ['ID', 'OUTCOME', 'EVENT', 'ROWS', 'NOTE'];

function cells(result: ReplayResult): string[][] {
  const { id, outcome } = result;
  const line = (event: string, rows: string, note: string): string[] => [id, outcome, event, rows, note].map(printable);
  switch (outcome) {
    case 'revived':
      return [line(id, String(result.rows), `rows ${rangesText(result.ranges)}`)];
    case 'accepted':
      return result.events.map(({ event_id: eventId, rows, duplicate }) =>
        line(eventId, String(rows), duplicate ? 'known already: sent before' : ''),
      );
    case 'still_refused':
      return [line('-', '0', `${result.code}: ${result.detail}`)];
    case 'nothing_to_replay':
      return [line('-', '0', result.detail ?? 'no such record, or nothing of it is dead')];
    case 'unavailable':
      return [line('-', '0', 'the outbox is full, or did not commit: replay it again')];
    default:
      return result satisfies never;
  }
}

function summary(
  results: readonly ReplayResult[],
  { dryRun, through }: { dryRun: boolean; through: Connected['through'] },
): string {
  const rows = results.reduce((sum, result) => sum + rowsOf(result), 0);
  const replayed = results.filter(({ outcome }) => outcome === 'revived' || outcome === 'accepted').length;
  const others = results.length - replayed;
  const left = others === 0 ? '' : `, ${others} not`;
  if (dryRun)
    return `${plural(replayed, 'record')} would be replayed with ${plural(rows, 'row')}${left}. Nothing was changed.\n`;
  const later = through === 'database' && rows > 0 ? ' They are sent when the service runs.' : '';
  return `${plural(replayed, 'record')} replayed with ${plural(rows, 'row')}${left}.${later}\n`;
}

function rowsOf(result: ReplayResult): number {
  if (result.outcome === 'revived') return result.rows;
  return result.outcome === 'accepted' ? result.events.reduce((sum, { rows }) => sum + rows, 0) : 0;
}
