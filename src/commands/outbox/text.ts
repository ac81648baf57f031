import type { RowRange } from '../../ground/event.ts';

/** `0-2, 5`: as people count, both ends included. */
export function rangesText(ranges: readonly RowRange[]): string {
  return ranges.map(([from, to]) => (to - from === 1 ? String(from) : `${from}-${to - 1}`)).join(', ');
}
