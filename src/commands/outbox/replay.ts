import type { Command } from 'commander';
import type { OutboxOperator, ReplayResult } from '../../outbox/operator.ts';
import { rangesText } from '../../outbox/rows.ts';
import { type CommandContext, exitCodes, printResult } from '../context.ts';
import { plural, renderTable } from '../text.ts';
import { type Connected, withOperator } from './connect.ts';
import { type Choice, type ChoiceOptions, defineChoice, inBatches, pagesOf, readChoice } from './selection.ts';

export const define = (command: Command) =>
  defineChoice(command, ['dead', 'quarantined'])
    .description('send dead letters again, and read quarantined bodies again')
    .option('--dry-run', 'only show what would be sent');

type ReplayOptions = ChoiceOptions & { readonly dryRun?: boolean };

/** Of one request: each may hold a body that is read again. */
const BATCH_SIZE = 100;

/** Exit code 1 when a record was not replayed that should have been. */
export async function run(context: CommandContext, ids: readonly string[], options: ReplayOptions): Promise<number> {
  const choice = readChoice(ids, options);
  const dryRun = options.dryRun === true;
  return withOperator(context, async ({ operator, through }) => {
    const results: ReplayResult[] = [];
    for await (const batch of batchesOf(operator, choice)) {
      if (batch.length === 0) continue;
      if (results.length > 0) context.stderr.write(`${results.length} records …\n`);
      results.push(...(await operator.replay(batch, { dryRun })));
    }
    printResult(context, options, { dry_run: dryRun, results }, renderTable(head, results.flatMap(cells)));
    context.stderr.write(summary(results, { dryRun, through }));
    return results.some((result) => isFailure(result, choice)) ? exitCodes.failed : exitCodes.done;
  });
}

async function* batchesOf(operator: OutboxOperator, choice: Choice): AsyncGenerator<readonly string[]> {
  if ('ids' in choice) return yield* inBatches(choice.ids, BATCH_SIZE);
  // Records that go meanwhile move no other, and one that is buried again keeps its place behind us: this ends.
  for await (const page of pagesOf(operator, choice.all, BATCH_SIZE)) yield page.map(({ id }) => id);
}

/** Of a list, a record that is not there any more was replayed or purged meanwhile by somebody else. */
function isFailure({ outcome }: ReplayResult, choice: Choice): boolean {
  if (outcome === 'nothing_to_replay') return 'ids' in choice;
  return outcome === 'still_refused' || outcome === 'unavailable';
}

const head = ['ID', 'OUTCOME', 'EVENT', 'ROWS', 'NOTE'];

function cells(result: ReplayResult) {
  const { id, outcome } = result;
  const line = (event: string, rows: number, note: string) => [id, outcome, event, rows, note];
  switch (outcome) {
    case 'revived':
      return [line(id, result.rows, `rows ${rangesText(result.ranges)}`)];
    case 'accepted':
      return result.events.map(({ event_id: eventId, rows, duplicate }) =>
        line(eventId, rows, duplicate ? 'known already: sent before' : ''),
      );
    case 'still_refused':
      return [line('-', 0, `${result.code}: ${result.detail}`)];
    case 'nothing_to_replay':
      return [line('-', 0, result.detail ?? 'no such record, or nothing of it is dead')];
    case 'unavailable':
      return [line('-', 0, 'the outbox is full, or did not commit: replay it again')];
  }
}

function summary(
  results: readonly ReplayResult[],
  { dryRun, through }: { dryRun: boolean; through: Connected['through'] },
): string {
  const rows = results.reduce((sum, result) => sum + rowsOf(result), 0);
  const replayed = results.filter(({ outcome }) => outcome === 'revived' || outcome === 'accepted').length;
  const left = replayed === results.length ? '' : `, ${results.length - replayed} not`;
  const counted = `replayed with ${plural(rows, 'row')}${left}.`;
  if (dryRun) return `${plural(replayed, 'record')} would be ${counted} Nothing was changed.\n`;
  const later = through === 'database' && rows > 0 ? ' They are sent when the service runs.' : '';
  return `${plural(replayed, 'record')} ${counted}${later}\n`;
}

function rowsOf(result: ReplayResult): number {
  if (result.outcome === 'revived') return result.rows;
  return result.outcome === 'accepted' ? result.events.reduce((sum, { rows }) => sum + rows, 0) : 0;
}
