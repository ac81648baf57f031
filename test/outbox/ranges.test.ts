import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { RowRange } from '../../src/ground/event.ts';
import { countRows, intersectRanges, mergeRanges, rangesProblem, subtractRanges } from '../../src/outbox/rows.ts';

const ROWS = 40;

/** Sorted and disjoint, though not always in the shortest form: ranges may touch. */
const rangeList: fc.Arbitrary<RowRange[]> = fc
  .uniqueArray(fc.nat(ROWS), { maxLength: 14, size: 'max' })
  .map((points) => points.sort((a, b) => a - b))
  .chain((points) =>
    fc.array(fc.boolean(), { minLength: points.length, maxLength: points.length }).map((taken) =>
      points.flatMap((from, n): RowRange[] => {
        const to = points[n + 1];
        return to !== undefined && taken[n] === true ? [[from, to]] : [];
      }),
    ),
  );

function toSet(ranges: readonly RowRange[]): Set<number> {
  return new Set(ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, n) => from + n)));
}

function assertShortest(ranges: readonly RowRange[]): void {
  assert.equal(rangesProblem(ranges, ROWS), null);
  for (const [n, [, to]] of ranges.entries()) assert.notEqual(ranges[n + 1]?.[0], to, 'two ranges touch');
}

describe('row ranges', () => {
  const holds = (
    of: (a: RowRange[], b: RowRange[]) => RowRange[],
    model: (a: Set<number>, b: Set<number>) => Set<number>,
  ) =>
    fc.assert(
      fc.property(rangeList, rangeList, (a, b) => {
        const result = of(a, b);
        assert.deepEqual(
          [...toSet(result)],
          [...model(toSet(a), toSet(b))].sort((x, y) => x - y),
        );
        assertShortest(result);
      }),
      { numRuns: 500 },
    );

  it('merge as sets of rows do', () => holds(mergeRanges, (a, b) => new Set([...a, ...b])));
  it('subtract as sets of rows do', () =>
    holds(subtractRanges, (a, b) => new Set([...a].filter((row) => !b.has(row)))));
  it('intersect as sets of rows do', () =>
    holds(intersectRanges, (a, b) => new Set([...a].filter((row) => b.has(row)))));

  it('count their rows', () => {
    fc.assert(fc.property(rangeList, (ranges) => assert.equal(countRows(ranges), toSet(ranges).size)));
  });

  it('are taken when sorted, disjoint and within their event', () => {
    fc.assert(fc.property(rangeList, (ranges) => assert.equal(rangesProblem(ranges, ROWS), null)));
    for (const bad of [
      [[0, 0]],
      [[2, 1]],
      [
        [0, 2],
        [1, 3],
      ],
      [
        [2, 3],
        [0, 1],
      ],
      [[-1, 1]],
      [[0, 41]],
      [[0.5, 1]],
      [[0, Number.NaN]],
    ]) {
      assert.notEqual(rangesProblem(bad as unknown as RowRange[], ROWS), null, JSON.stringify(bad));
    }
  });
});
