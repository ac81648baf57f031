import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type UnderstandOptions, type Understood, understand } from '../../src/intake/understand.ts';
import type { DecodedEvent } from '../../src/kinds/kind.ts';
import { planStored, type StoredEvent } from '../../src/kinds/plan-stored.ts';
import { kindNamed, kinds } from '../../src/kinds/registry.ts';
import type { RowRange } from '../../src/outbox/port.ts';
import { createReading, LARGE_BODY_BYTES, type Reading } from '../../src/reading/reading.ts';
import { anomalyBodies } from '../kinds/anomaly-bodies.ts';
import { auditBodies } from '../kinds/audit-bodies.ts';
import { integrationBodies } from '../kinds/integration-bodies.ts';
import { requestBodies } from '../kinds/request-bodies.ts';
import { eventually } from '../support/eventually.ts';
import { manualClock } from '../support/manual-clock.ts';

const smallBodies = Object.values({ ...requestBodies, ...auditBodies, ...anomalyBodies, ...integrationBodies }).filter(
  (text) => Buffer.byteLength(text) <= LARGE_BODY_BYTES,
);
const requestKind = kindNamed('request') ?? assert.fail();
const receivedAt = Date.UTC(2026, 10, 22);

function start(t: TestContext, processors = 2) {
  const clock = manualClock();
  const logged: string[] = [];
  let planned = 0;
  // The threads have those of the registry, so that only what is done here counts.
  const counting = kinds.map((kind) => ({
    ...kind,
    plan(event: DecodedEvent) {
      planned++;
      return kind.plan(event);
    },
  }));
  const options: UnderstandOptions = {
    kinds: counting,
    streams: Object.fromEntries(kinds.map(({ name, defaultStream }) => [name, defaultStream])),
    escaping: 'auto',
    keptBytes: 4_096,
    log: { error: (_fields, message) => void logged.push(message) },
  };
  const reading = createReading({ ...options, clock, processors });
  t.after(() => reading.close());
  const understandHere = (text: string) => understand(bodyOf(text), receivedAt, { ...options, kinds });
  return { reading, clock, understandHere, logged, plannedHere: () => planned };
}

/** Sends small bodies, within one moment of the clock, until one of them is not understood here. */
async function untilThreadReads({ reading, plannedHere }: ReturnType<typeof start>): Promise<void> {
  for (let n = 0; n < 200; n++) await reading.understand(bodyOf(event('a', 1, '')), receivedAt);
  assert.equal(plannedHere(), 200);
  await eventually(async () => {
    const before = plannedHere();
    await reading.understand(bodyOf(event('a', 1, '')), receivedAt);
    return plannedHere() === before;
  });
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
  const { reading, understandHere, plannedHere } = start(t);
  const texts = Object.values(bodies);
  // All at once, so that they wait for each other.
  const understood = await Promise.all(texts.map((text) => reading.understand(bodyOf(text), receivedAt)));
  for (const [index, text] of texts.entries())
    assert.deepEqual(understood[index], withoutRows(await understandHere(text)));
  assert.equal(plannedHere(), 0);
});

/** The rows of large bodies do not travel. */
function withoutRows(understood: Understood): Understood {
  return 'entries' in understood
    ? { entries: understood.entries.map((entry) => ({ ...entry, rows: null })) }
    : understood;
}

test('while many come, bodies are understood in a thread as they would be here', async (t) => {
  const fixture = start(t);
  const { reading, understandHere, plannedHere } = fixture;
  await untilThreadReads(fixture);
  const some = [
    ...smallBodies,
    '',
    '{',
    '[]',
    '7',
    `[${event('a', 1, '')},${event('b', 50, '')}]`,
    event('€𝄞', 2, ''),
    event('large for a small one', 1, 'x'.repeat(70_000)),
  ];
  // More than go into one message, by their number and by their size.
  const texts = Array.from({ length: 5 }, () => some).flat();
  const before = plannedHere();
  const understood = await Promise.all(texts.map((text) => reading.understand(bodyOf(text), receivedAt)));
  assert.equal(plannedHere(), before);
  for (const [index, text] of texts.entries()) assert.deepEqual(understood[index], await understandHere(text));
});

test('with one processor bodies are understood here, however many come', async (t) => {
  const { reading, plannedHere } = start(t, 1);
  for (let n = 0; n < 400; n++) await reading.understand(bodyOf(event('a', 1, '')), receivedAt);
  assert.equal(plannedHere(), 400);
  assert.ok(!hasThread('bodies'));
});

test('when few come again, they are understood here, and the thread ends after a minute', async (t) => {
  const fixture = start(t);
  const { reading, clock, plannedHere } = fixture;
  await untilThreadReads(fixture);
  clock.advance(2_000);
  const before = plannedHere();
  await reading.understand(bodyOf(event('a', 1, '')), receivedAt);
  assert.equal(plannedHere(), before + 1);
  clock.advance(57_999);
  assert.ok(hasThread('bodies') !== false);
  clock.advance(1);
  await eventually(() => hasThread('bodies') !== true && clock.timerCount === 0);
});

test('when that thread dies, what it had is done here, and the next one takes over', async (t) => {
  const fixture = start(t);
  const { reading, understandHere, plannedHere } = fixture;
  await untilThreadReads(fixture);
  const before = plannedHere();
  const texts = Array.from({ length: 10 }, (_, n) => event(`e${n}`, 3, ''));
  const understood = texts.map((text) => reading.understand(bodyOf(text), receivedAt));
  await reading.close();
  for (const [index, text] of texts.entries()) assert.deepEqual(await understood[index], await understandHere(text));
  assert.ok(plannedHere() > before);
  await eventually(async () => {
    const since = plannedHere();
    await reading.understand(bodyOf(texts[0] ?? ''), receivedAt);
    return plannedHere() === since;
  });
});

test('a body that is not large, while there are few, needs no thread', async (t) => {
  const { reading } = start(t);
  const understood = await reading.understand(bodyOf(event('a', 1, '')), receivedAt);
  assert.ok('entries' in understood);
  assert.ok(!hasThread('bodies') && !hasThread('large bodies'));
});

async function stored(understood: Promise<Understood>): Promise<StoredEvent> {
  const result = await understood;
  assert.ok('entries' in result);
  return result.entries[0] ?? assert.fail();
}

async function rowsOf(reading: Reading, one: StoredEvent, range: RowRange): Promise<string[]> {
  const rows: string[] = [];
  for await (const chunk of reading.rows(requestKind, one, range)) for (const { json } of chunk) rows.push(json);
  return rows;
}

const rowsHere = (one: StoredEvent, range: RowRange): string[] =>
  [...planStored(requestKind, one).rows(range)].map(({ json }) => json);

test('rows from the thread are those that would be made here, also of two events in turn', async (t) => {
  const { reading } = start(t);
  const first = await stored(reading.understand(bodyOf(event('first', 2_000)), receivedAt));
  const second = await stored(reading.understand(bodyOf(event('second', 1_500)), receivedAt));
  const parts = [
    rowsOf(reading, first, [0, 2_000]),
    rowsOf(reading, second, [700, 1_500]),
    rowsOf(reading, first, [3, 4]),
  ];
  assert.deepEqual(await Promise.all(parts), [
    rowsHere(first, [0, 2_000]),
    rowsHere(second, [700, 1_500]),
    rowsHere(first, [3, 4]),
  ]);
});

test('what mapping throws in the thread is thrown here', async (t) => {
  const { reading } = start(t);
  const one = await stored(reading.understand(bodyOf(event('a', 3)), receivedAt));
  await assert.rejects(rowsOf(reading, { ...one, rowCount: 4 }, [0, 4]), { name: 'RangeError' });
});

test('when the thread dies, what it had is done here, and the next body has a new one', async (t) => {
  const { reading, understandHere } = start(t);
  const text = event('a', 2_000);
  const understood = reading.understand(bodyOf(text), receivedAt);
  await reading.close();
  assert.deepEqual(await understood, await understandHere(text));
  const one = await stored(reading.understand(bodyOf(text), receivedAt));
  const chunks = reading.rows(requestKind, one, [0, 2_000])[Symbol.asyncIterator]();
  const got = [...((await chunks.next()).value ?? [])];
  await reading.close();
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) got.push(...next.value);
  assert.deepEqual(
    got.map(({ json }) => json),
    rowsHere(one, [0, 2_000]),
  );
});

test('the thread ends when nothing large has come for a minute', {
  skip: threadNames() === null && 'no /proc',
}, async (t) => {
  const { reading, clock } = start(t);
  await reading.understand(bodyOf(event('a', 1)), receivedAt);
  clock.advance(59_000);
  assert.ok(hasThread('large bodies'));
  clock.advance(1_000);
  await eventually(() => !hasThread('large bodies'));
  await eventually(() => clock.timerCount === 0);
});

/** Null where there is no /proc. */
function hasThread(name: 'bodies' | 'large bodies'): boolean | null {
  return threadNames()?.includes(name) ?? null;
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
