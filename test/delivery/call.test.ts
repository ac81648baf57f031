import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { halve, pick, rangesByEvent } from '../../src/delivery/claim.ts';
import type { RowRange } from '../../src/ground/event.ts';
import { joinRow } from '../../src/ground/event.ts';
import type { ClaimedRows } from '../../src/outbox/engine.ts';
import { MAX_CALL_BYTES } from '../../src/outbox/port.ts';
import { packCalls, takeRows } from '../../src/outbox/rows.ts';
import { anyCharacter } from '../support/any-character.ts';

/** An event as it is stored, and which of its rows wait. */
interface Waiting {
  readonly own: readonly string[];
  readonly pending: readonly RowRange[];
}

const shared = JSON.stringify({ event_type: 'Größe 😀, "}{][\\' });

/** A few events of a few rows, most of them small, some nearly a call or larger than one. */
const events: fc.Arbitrary<readonly Waiting[]> = fc.array(
  fc
    .array(
      fc.record({
        text: fc.string({ unit: anyCharacter }),
        filler: fc.oneof(
          { weight: 8, arbitrary: fc.constant(0) },
          { weight: 2, arbitrary: fc.integer({ min: 100_000, max: 400_000 }) },
          { weight: 1, arbitrary: fc.integer({ min: 949_000, max: 1_000_000 }) },
        ),
        waits: fc.boolean(),
      }),
      { minLength: 1, maxLength: 8 },
    )
    .map((rows) => ({
      own: rows.map(({ text, filler }) => JSON.stringify({ text, filler: 'é'.repeat(filler / 2) })),
      pending: rows.flatMap(({ waits }, index): RowRange[] => (waits ? [[index, index + 1]] : [])),
    })),
  { maxLength: 6 },
);

/** As an engine claims all that waits, but for the bound of its bytes. */
function claimAll(waiting: readonly Waiting[]): ClaimedRows[] {
  return waiting.flatMap(({ own, pending }, index) => {
    if (pending.length === 0) return [];
    const stored = { shared, own: own.join('\n') };
    const taken = takeRows(stored, pending, { maxBytes: Number.MAX_SAFE_INTEGER, atLeastOne: true });
    return [{ eventId: `e-${index}`, token: index, receivedAt: 0, action: 'Other', ...taken }];
  });
}

/** Every row that waits, in order, by its event and index. */
function rowsThatWait(waiting: readonly Waiting[]) {
  return waiting.flatMap(({ own, pending }, event) =>
    pending.map(([index]) => ({ event: `e-${event}`, index, row: JSON.parse(joinRow(shared, own[index] ?? '')) })),
  );
}

test('property: every row that waits is in exactly one call, in order, and no call is too large but that of a large row', () => {
  fc.assert(
    fc.property(events, (waiting) => {
      const { calls } = packCalls(claimAll(waiting));
      const sent = calls.flatMap(({ text, sources }) => {
        const rows: unknown[] = JSON.parse(text);
        assert.equal(rows.length, sources.length);
        return sources.map(({ event, index }, place) => ({ event: event.eventId, index, row: rows[place] }));
      });
      assert.deepEqual(sent, rowsThatWait(waiting));
      for (const [place, call] of calls.entries()) {
        assert.equal(call.bytes, Buffer.byteLength(call.text));
        assert.ok(call.bytes <= MAX_CALL_BYTES || call.sources.length === 1);
        // A call ends only where its next row has no room.
        const next = calls[place + 1];
        const nextRow = next === undefined ? '' : pick(next, (index) => index === 0).text;
        if (next !== undefined) assert.ok(call.bytes + Buffer.byteLength(nextRow) - 1 > MAX_CALL_BYTES);
      }
    }),
    { numRuns: 60 },
  );
});

test('property: the halves of a call are its rows, and so are those that are picked one by one', () => {
  fc.assert(
    fc.property(events, (waiting) => {
      for (const call of packCalls(claimAll(waiting)).calls) {
        const rows: unknown[] = JSON.parse(call.text);
        const single = rows.map((_, place) => pick(call, (index) => index === place));
        for (const parts of [single, ...(rows.length > 1 ? [halve(call)] : [])]) {
          assert.deepEqual(
            parts.flatMap(({ text }) => JSON.parse(text)),
            rows,
          );
          assert.deepEqual(
            parts.flatMap(({ sources }) => sources),
            call.sources,
          );
          for (const part of parts) {
            assert.equal(part.bytes, Buffer.byteLength(part.text));
            assert.deepEqual(
              part.starts.map((start) => part.text[start]),
              part.sources.map(() => '{'),
            );
          }
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('property: what is taken is the first of what waits, within the bytes, and at least one row where that is asked', () => {
  fc.assert(
    fc.property(events, fc.integer({ min: 0, max: 2_000_000 }), fc.boolean(), (waiting, maxBytes, atLeastOne) => {
      for (const { own, pending } of waiting) {
        const taken = takeRows({ shared, own: own.join('\n') }, pending, { maxBytes, atLeastOne });
        const indexes = taken.ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, n) => from + n));
        const all = pending.map(([index]) => index);
        assert.deepEqual(indexes, all.slice(0, indexes.length));
        assert.deepEqual(
          taken.rows,
          indexes.map((index) => joinRow(shared, own[index] ?? '')),
        );
        const sizes = taken.rows.map((row) => Buffer.byteLength(row) + 1);
        const bytes = sizes.reduce((sum, size) => sum + size, 0);
        assert.equal(taken.bytes, bytes);
        assert.ok(bytes <= maxBytes || (atLeastOne && indexes.length === 1));
        if (atLeastOne && all.length > 0) assert.ok(indexes.length > 0);
        const next = all[indexes.length];
        if (next !== undefined) {
          assert.ok(bytes + Buffer.byteLength(joinRow(shared, own[next] ?? '')) + 1 > maxBytes);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('the rows of a call by event are ranges that do not touch', () => {
  const event = (eventId: string) => ({ eventId, token: 1, receivedAt: 0, action: 'Other', ranges: [] });
  const [a, b] = [event('a'), event('b')];
  const sources = [0, 1, 2, 5, 6].map((index) => ({ event: a, index })).concat([{ event: b, index: 3 }]);
  assert.deepEqual(
    [...rangesByEvent(sources)],
    [
      [
        a,
        [
          [0, 3],
          [5, 7],
        ],
      ],
      [b, [[3, 4]]],
    ],
  );
});
