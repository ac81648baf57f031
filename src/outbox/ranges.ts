import type { RowRange } from '../ground/event.ts';

/**
 * Lists of row ranges as sets of rows. Every function takes sorted, disjoint lists (`rangesProblem` says whether one is)
 * and returns one in its shortest form: sorted, disjoint, and no two ranges that touch.
 */

/** Null when `ranges` is a sorted, disjoint list of ranges that are not empty and lie within `rowCount`, else what is wrong. */
export function rangesProblem(ranges: readonly RowRange[], rowCount: number): string | null {
  let end = 0;
  for (const range of ranges) {
    const [from, to] = range;
    const shown = `[${from}, ${to}]`;
    if (range.length !== 2 || !Number.isSafeInteger(from) || !Number.isSafeInteger(to)) {
      return `${shown} is not a pair of whole numbers`;
    }
    if (from < 0 || to > rowCount) return `${shown} is outside of the rows 0 to ${rowCount}`;
    if (from >= to) return `${shown} is empty`;
    if (from < end) return `${shown} overlaps the range before it, or the list is not sorted`;
    end = to;
  }
  return null;
}

/** As text, for engines to store. A list in its shortest form has one text only. */
export function formatRanges(ranges: readonly RowRange[]): string {
  const [first] = ranges;
  return first !== undefined && ranges.length === 1 ? `[[${first[0]},${first[1]}]]` : JSON.stringify(ranges);
}

export function parseRanges(text: string): readonly RowRange[] {
  return JSON.parse(text) as readonly RowRange[];
}

export function areSameRanges(a: readonly RowRange[], b: readonly RowRange[]): boolean {
  return a.length === b.length && a.every(([from, to], index) => from === b[index]?.[0] && to === b[index]?.[1]);
}

export function countRows(ranges: readonly RowRange[]): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** The rows that are in `a` or in `b`. */
export function mergeRanges(a: readonly RowRange[], b: readonly RowRange[]): RowRange[] {
  const merged: [number, number][] = [];
  for (const [from, to] of [...a, ...b].sort((x, y) => x[0] - y[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** The rows that are in `a` and not in `b`. */
export function subtractRanges(a: readonly RowRange[], b: readonly RowRange[]): RowRange[] {
  const holes = mergeRanges(b, []);
  const left: RowRange[] = [];
  let hole = 0;
  for (const [from, to] of mergeRanges(a, [])) {
    let start = from;
    // Both lists are sorted, so that a hole that ends before this range is behind all the later ones too.
    while ((holes[hole]?.[1] ?? Number.POSITIVE_INFINITY) <= start) hole++;
    for (let i = hole; start < to; i++) {
      const [holeFrom, holeTo] = holes[i] ?? [to, to];
      if (start < holeFrom) left.push([start, Math.min(holeFrom, to)]);
      start = Math.max(start, holeTo);
    }
  }
  return left;
}

/** The rows that are in both. */
export function intersectRanges(a: readonly RowRange[], b: readonly RowRange[]): RowRange[] {
  return subtractRanges(a, subtractRanges(a, b));
}
