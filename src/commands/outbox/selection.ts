import { type Command, Option } from 'commander';
import type { OperatorState, OutboxOperator, PageJson, RecordJson } from '../../outbox/operator.ts';
import { type JsonOption, wrongUsage } from '../context.ts';
import { kindOption } from '../template.ts';

export interface Selection {
  readonly state: OperatorState;
  readonly kind?: string;
  /** Only records of this code. */
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
    .option('--code <code>', 'with --all: only records of this code');
}

/** `--all` alone would be everything: which state has to be said. */
export function readChoice(ids: readonly string[], { all, state, kind, code }: ChoiceOptions): Choice {
  if (all !== true) {
    if (ids.length === 0) throw wrongUsage('name the ids of records, or --all and --state');
    if ((state ?? kind ?? code) !== undefined)
      throw wrongUsage('--state, --kind and --code go with --all, not with ids');
    return { ids: [...new Set(ids)] };
  }
  if (ids.length > 0) throw wrongUsage('name either ids or --all');
  if (state === undefined) throw wrongUsage('--all needs --state');
  return { all: { state, ...(kind !== undefined && { kind }), ...(code !== undefined && { code }) } };
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
