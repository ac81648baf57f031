import type { PurgeResult } from '../../outbox/operator.ts';
import { type CommandContext, exitCodes, wrongUsage } from '../context.ts';
import { plural, printable, renderTable } from '../text.ts';
import { type Choice, type ChoiceOptions, inBatches, readChoice } from './choice.ts';
import { withOperator } from './connect.ts';
import { pagesOf } from './pages.ts';

export interface PurgeOptions extends ChoiceOptions {
  /** Do not ask. */
  readonly yes?: boolean;
  readonly json?: boolean;
}

const PAGE_SIZE = 1_000;
const BATCH_SIZE = 500;

/** Deletes records for good, after a question. Exit code 1 when the answer was no, or an id was not there. */
export async function purge(context: CommandContext, ids: readonly string[], options: PurgeOptions): Promise<number> {
  const choice = readChoice(ids, options);
  if (choice.type === 'wrong') return wrongUsage(context, choice.message);
  if (options.yes !== true && context.ask === undefined) {
    return wrongUsage(context, 'what is purged is gone for good: add --yes, since there is no terminal to ask on');
  }
  const chosen = await collect(context, choice);
  if (chosen.exitCode !== exitCodes.done) return chosen.exitCode;
  // The outbox is not kept open while somebody thinks: a service that is started meanwhile would fail.
  if (!(await confirmed(context, chosen.ids.length, options))) {
    context.stderr.write('Nothing was deleted.\n');
    return exitCodes.failed;
  }
  return deleteAll(context, chosen.ids, { json: options.json === true, mustExist: choice.type === 'ids' });
}

async function collect(
  context: CommandContext,
  choice: Exclude<Choice, { type: 'wrong' }>,
): Promise<{ readonly ids: readonly string[]; readonly exitCode: number }> {
  if (choice.type === 'ids') return { ids: choice.ids, exitCode: exitCodes.done };
  const ids: string[] = [];
  const exitCode = await withOperator(context, async ({ operator }) => {
    for await (const page of pagesOf(operator, choice.selection, PAGE_SIZE)) {
      ids.push(...page.map(({ id }) => id));
      if (page.length === PAGE_SIZE) context.stderr.write(`${ids.length} records found …\n`);
    }
    return exitCodes.done;
  });
  return { ids, exitCode };
}

async function confirmed({ ask }: CommandContext, count: number, { yes }: PurgeOptions): Promise<boolean> {
  if (yes === true || count === 0) return true;
  const answer = await ask?.(`Type purge to delete ${plural(count, 'record')} for good: `);
  return answer?.trim() === 'purge';
}

function deleteAll(
  context: CommandContext,
  ids: readonly string[],
  { json, mustExist }: { json: boolean; mustExist: boolean },
): Promise<number> {
  return withOperator(context, async ({ operator }) => {
    const results: PurgeResult[] = [];
    for (const batch of inBatches(ids, BATCH_SIZE)) {
      if (results.length > 0) context.stderr.write(`${results.length} of ${ids.length} records …\n`);
      results.push(...(await operator.purge(batch)));
    }
    if (json) context.stdout.write(`${JSON.stringify({ results }, null, 2)}\n`);
    else context.stdout.write(renderTable(['ID', 'OUTCOME'], results.map(cells)));
    const missing = results.filter(({ purged }) => !purged).length;
    context.stderr.write(`${plural(results.length - missing, 'record')} deleted.\n`);
    return mustExist && missing > 0 ? exitCodes.failed : exitCodes.done;
  });
}

function cells({ id, purged, detail }: PurgeResult): string[] {
  return [id, purged ? 'purged' : (detail ?? 'no such record')].map(printable);
}
