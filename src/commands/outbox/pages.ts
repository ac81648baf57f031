import type { OperatorState, OutboxOperator, PageJson, RecordJson } from '../../outbox/operator.ts';

export interface Selection {
  readonly state: OperatorState;
  readonly kind?: string;
  /** Only records of this code. */
  readonly code?: string;
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
