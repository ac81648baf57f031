import type { OperatorState } from '../../outbox/operator.ts';
import type { Selection } from './pages.ts';

/** What replay and purge take: ids, or everything of one state. */
export interface ChoiceOptions {
  readonly all?: boolean;
  readonly state?: OperatorState;
  readonly kind?: string;
  readonly code?: string;
}

export type Choice =
  | { readonly type: 'ids'; readonly ids: readonly string[] }
  | { readonly type: 'all'; readonly selection: Selection }
  | { readonly type: 'wrong'; readonly message: string };

/** `--all` alone would be everything: which state has to be said. */
export function readChoice(ids: readonly string[], { all, state, kind, code }: ChoiceOptions): Choice {
  const narrowed = state !== undefined || kind !== undefined || code !== undefined;
  if (all !== true) {
    if (ids.length === 0) return { type: 'wrong', message: 'name the ids of records, or --all and --state' };
    if (narrowed) return { type: 'wrong', message: '--state, --kind and --code go with --all, not with ids' };
    return { type: 'ids', ids: [...new Set(ids)] };
  }
  if (ids.length > 0) return { type: 'wrong', message: 'name either ids or --all' };
  if (state === undefined) return { type: 'wrong', message: '--all needs --state' };
  return {
    type: 'all',
    selection: { state, ...(kind !== undefined && { kind }), ...(code !== undefined && { code }) },
  };
}

export function inBatches<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
