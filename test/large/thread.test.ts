import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type UnderstandOptions, type Understood, understand } from '../../src/apono/understand.ts';
import { planStored, type StoredEvent } from '../../src/kinds/plan-stored.ts';
import { kindNamed, kinds } from '../../src/kinds/registry.ts';
import { createLargeBodies, LARGE_BODY_BYTES, type LargeBodies } from '../../src/large/thread.ts';
import type { RowRange } from '../../src/outbox/port.ts';
import { eventually } from '../support/eventually.ts';
import { manualClock } from '../support/manual-clock.ts';

const requestKind = kindNamed('request') ?? assert.fail();
const receivedAt = Date.UTC(2026, 10, 22);

function start(t: TestContext) {
  const clock = manualClock();
  const logged: string[] = [];
  const options: UnderstandOptions = {
    kinds,
    streams: Object.fromEntries(kinds.map(({ name, defaultStream }) => [name, defaultStream])),
    escaping: 'auto',
    log: { error: (_fields, message) => void logged.push(message) },
  };
  const large = createLargeBodies({ ...options, clock });
  t.after(() => large.close());
  return { large, clock, options, logged };
}

const event = (id: string, units: number, filler = 'x'.repeat(LARGE_BODY_BYTES)): string => {
  const unit = (index: number) => ({
    resource: { id: `r${index}`, name: 'n'.repeat(500) },
    permission: { name: 'read' },
  });
  return JSON.stringify({
    event_type: 'AccessRequestGranted',
    event_time: 1763719200.5,
    data: { id, unknown: filler, access_groups: [{ access_units: Array.from({ length: units }, (_, n) => unit(n)) }] },
  });
};

const bodies: Readonly<Record<string, string>> = {
  'one event': event('a', 3),
  'a list': `[${event('a', 1)},${event('b', 2)}]`,
  'a number that no double holds': event('a', 1).replace('1763719200.5', '1763719200.123456789012'),
  'what a template made': event('a', 1).replace('1763719200.5', '"1763719200.5"'),
  'not JSON': `{${'x'.repeat(LARGE_BODY_BYTES)}`,
  'no event': `{"event_type":"${'x'.repeat(LARGE_BODY_BYTES)}"}`,
  'nested too deep': '['.repeat(LARGE_BODY_BYTES) + ']'.repeat(LARGE_BODY_BYTES),
};

const bodyOf = (text: string) => ({ bytes: Buffer.from(text), feed: 'feed', kind: null });

test('a large body is understood in the thread as it would be here', async (t) => {
  const { large, options } = start(t);
  const texts = Object.values(bodies);
  // All at once, so that they wait for each other.
  const understood = await Promise.all(texts.map((text) => large.understand(bodyOf(text), receivedAt)));
  for (const [index, text] of texts.entries()) {
    assert.deepEqual(understood[index], await understand(bodyOf(text), receivedAt, options));
  }
  assert.ok(hasThread());
});

test('a body that is not large needs no thread', async (t) => {
  const { large } = start(t);
  const understood = await large.understand(bodyOf(event('a', 1, '')), receivedAt);
  assert.ok('entries' in understood);
  assert.ok(!hasThread());
});

async function stored(understood: Promise<Understood>): Promise<StoredEvent> {
  const result = await understood;
  assert.ok('entries' in result);
  return result.entries[0] ?? assert.fail();
}

async function rowsOf(large: LargeBodies, one: StoredEvent, range: RowRange): Promise<string[]> {
  const rows: string[] = [];
  for await (const chunk of large.rows(requestKind, one, range)) for (const { json } of chunk) rows.push(json);
  return rows;
}

const rowsHere = (one: StoredEvent, range: RowRange): string[] =>
  [...planStored(requestKind, one).rows(range)].map(({ json }) => json);

test('rows from the thread are those that would be made here, also of two events in turn', async (t) => {
  const { large } = start(t);
  const first = await stored(large.understand(bodyOf(event('first', 2_000)), receivedAt));
  const second = await stored(large.understand(bodyOf(event('second', 1_500)), receivedAt));
  const parts = [rowsOf(large, first, [0, 2_000]), rowsOf(large, second, [700, 1_500]), rowsOf(large, first, [3, 4])];
  assert.deepEqual(await Promise.all(parts), [
    rowsHere(first, [0, 2_000]),
    rowsHere(second, [700, 1_500]),
    rowsHere(first, [3, 4]),
  ]);
});

test('what mapping throws in the thread is thrown here', async (t) => {
  const { large } = start(t);
  const one = await stored(large.understand(bodyOf(event('a', 3)), receivedAt));
  await assert.rejects(rowsOf(large, { ...one, rowCount: 4 }, [0, 4]), { name: 'RangeError' });
});

test('when the thread dies, what it had is done here, and the next body has a new one', async (t) => {
  const { large, options } = start(t);
  const text = event('a', 2_000);
  const reading = large.understand(bodyOf(text), receivedAt);
  await large.close();
  assert.deepEqual(await reading, await understand(bodyOf(text), receivedAt, options));
  const one = await stored(large.understand(bodyOf(text), receivedAt));
  const chunks = large.rows(requestKind, one, [0, 2_000])[Symbol.asyncIterator]();
  const got = [...((await chunks.next()).value ?? [])];
  await large.close();
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) got.push(...next.value);
  assert.deepEqual(
    got.map(({ json }) => json),
    rowsHere(one, [0, 2_000]),
  );
});

test('the thread ends when nothing large has come for a minute', {
  skip: threadNames() === null && 'no /proc',
}, async (t) => {
  const { large, clock } = start(t);
  await large.understand(bodyOf(event('a', 1)), receivedAt);
  clock.advance(59_000);
  assert.ok(hasThread());
  clock.advance(1_000);
  await eventually(() => !hasThread());
  await eventually(() => clock.timerCount === 0);
});

function hasThread(): boolean {
  return threadNames()?.includes('large bodies') ?? true;
}

/** Of this process; null where there is no /proc. */
function threadNames(): string[] | null {
  try {
    return readdirSync('/proc/self/task').flatMap((id) => {
      try {
        return [readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim()];
      } catch {
        return []; // it ended meanwhile
      }
    });
  } catch {
    return null;
  }
}
