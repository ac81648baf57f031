import { type Command, Option } from 'commander';
import type { OperatorState, OutboxOperator, PageJson, RecordJson } from '../../outbox/operator.ts';
import { type JsonOption, wrongUsage } from '../context.ts';
import { kindOption } from '../template.ts';

export interface Selection {
  readonly state: OperatorState;
  readonly kind?: string;
  readonly code?: string;
}

/** What replay and purge take: ids, or everything of one state. */
export type ChoiceOptions = Partial<Selection> & JsonOption & { readonly all?: boolean };

export type Choice = { readonly ids: readonly string[] } | { readonly all: Selection };

export function defineChoice(command: Command, states: readonly OperatorState[]): Command {
  return command
    .argument('[ids...]')
    .option('--all', 'all of a state')
    .addOption(new Option('--state <state>', 'with --all').choices(states))
    .addOption(kindOption('with --all: only events of this kind'))
    .option('--code <code>', 'with --all: only records of this code')
    .option('--json', 'print JSON');
}

/** `--all` alone would be everything: which state has to be said. */
export function readChoice(ids: readonly string[], options: ChoiceOptions): Choice {
  const { all, state, kind, code } = options;
  if (all === true && state !== undefined && ids.length === 0) return { all: { ...options, state } };
  const hasFilter = (state ?? kind ?? code) !== undefined;
  if (all !== true && !hasFilter && ids.length > 0) return { ids: [...new Set(ids)] };
  throw wrongUsage('name either the ids of records, or --all and --state, which --kind and --code may narrow');
}

export function inBatches<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}

/** All pages of a selection, each of at most `pageSize` records; a page may be empty. */
export async function* pagesOf(
  operator: OutboxOperator,
  { state, kind, code }: Selection,
  pageSize: number,
): AsyncGenerator<readonly RecordJson[]> {
  let after: string | null = null;
  do {
    const page: PageJson = await operator.list({
      state,
      limit: pageSize,
      ...(kind !== undefined && { kind }),
      ...(after !== null && { after }),
    });
    yield code === undefined ? page.records : page.records.filter((record) => record.code === code);
    after = page.next;
  } while (after !== null);
}
