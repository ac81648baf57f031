import type { Command } from 'commander';
import { operatorStates, type PurgeResult } from '../../outbox/operator.ts';
import { type CommandContext, exitCodes, failed, printResult, wrongUsage } from '../context.ts';
import { plural, renderTable } from '../text.ts';
import { withOperator } from './connect.ts';
import { type ChoiceOptions, defineChoice, inBatches, pagesOf, readChoice, type Selection } from './selection.ts';

export const define = (command: Command) =>
  defineChoice(command, operatorStates).description('delete records for good').option('--yes', 'do not ask');

type PurgeOptions = ChoiceOptions & { readonly yes?: boolean };

const PAGE_SIZE = 1_000;
const BATCH_SIZE = 500;

/** Deletes records for good, after a question. Exit code 1 when the answer was no, or an id was not there. */
export async function run(context: CommandContext, given: readonly string[], options: PurgeOptions): Promise<number> {
  const choice = readChoice(given, options);
  if (options.yes !== true && context.ask === undefined) {
    throw wrongUsage('what is purged is gone for good: add --yes, since there is no terminal to ask on');
  }
  const ids = 'ids' in choice ? choice.ids : await collect(context, choice.all);
  if (options.yes !== true && ids.length > 0) {
    // The outbox is not kept open while somebody thinks: a service that is started meanwhile would fail.
    const answer = await context.ask?.(`Type purge to delete ${plural(ids.length, 'record')} for good: `);
    if (answer?.trim() !== 'purge') throw failed('Nothing was deleted.');
  }
  const results = await deleteAll(context, ids);
  const lines = results.map(({ id, purged, detail }) => [id, purged ? 'purged' : (detail ?? 'no such record')]);
  printResult(context, options, { results }, renderTable(['ID', 'OUTCOME'], lines));
  const missing = results.filter(({ purged }) => !purged).length;
  context.stderr.write(`${plural(results.length - missing, 'record')} deleted.\n`);
  return 'ids' in choice && missing > 0 ? exitCodes.failed : exitCodes.done;
}

function collect(context: CommandContext, selection: Selection): Promise<readonly string[]> {
  return withOperator(context, async ({ operator }) => {
    const ids: string[] = [];
    for await (const page of pagesOf(operator, selection, PAGE_SIZE)) {
      ids.push(...page.map(({ id }) => id));
      if (page.length === PAGE_SIZE) context.stderr.write(`${ids.length} records found …\n`);
    }
    return ids;
  });
}

function deleteAll(context: CommandContext, ids: readonly string[]): Promise<readonly PurgeResult[]> {
  return withOperator(context, async ({ operator }) => {
    const results: PurgeResult[] = [];
    for (const batch of inBatches(ids, BATCH_SIZE)) {
      if (results.length > 0) context.stderr.write(`${results.length} of ${ids.length} records …\n`);
      results.push(...(await operator.purge(batch)));
    }
    return results;
  });
}
