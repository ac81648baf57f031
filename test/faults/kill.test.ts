import assert from 'node:assert/strict';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { FaultStep } from '../support/azure/faults.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { drained } from './support/health.ts';
import { keepLedger, type Ledger, type LedgerCall } from './support/ledger.ts';
import { isLong, type SeededRandom, seededRandom } from './support/random.ts';
import { storm } from './support/storm.ts';
import { idColumns } from './support/streams.ts';
import { type RetryingSender, retryingSender, webhook } from './support/webhooks.ts';

const KILLS = isLong ? 60 : 5;
const SENDERS = 16;
/** Finding a row that is too large takes many small calls, behind which the other faults would seldom be met. */
const KILLS_PER_LARGE_ROW = 4;
/** Calls that delivery has under way at once: what one kill can make Azure get a second time. */
const PARALLEL_CALLS = 4;

test(`kill -9 ${KILLS} times under load while Azure fails at random: nothing that was answered 2xx is lost`, async (t) => {
  const random = seededRandom();
  const emulator = await startTestEmulator(t, { streams: { [requestStream]: idColumns } });
  const files = await serviceFiles(t, emulator);
  // Calls of every size: most events go with the next round, and senders rest now and then.
  const env = { ...serviceEnv(emulator, files), FLUSH_INTERVAL_MS: '5' };
  const ledger = keepLedger(emulator);
  ledger.plan(tooLargeRow, ...storm(random));
  // Nobody listens there: until the first start each attempt fails, as between a kill and the next start.
  let port = 1;
  const sender = retryingSender(() => port);
  const load = startLoad(t, sender, random);
  const tallied = () => ({ ...sender.tally, accepted: sender.tally.accepted.size });
  for (let kill = 0; kill < KILLS; kill++) {
    ledger.generation = kill;
    const service = await startServiceProcess(t, env);
    port = service.port;
    if (kill % KILLS_PER_LARGE_ROW === 0) load.addTooLarge();
    // The moment is counted in what the process has done, so that a slow machine makes the same choices.
    const enough = sender.tally.accepted.size + random.between(1, isLong ? 400 : 120);
    await eventually(() => sender.tally.accepted.size >= enough, tallied);
    await pause(random.between(0, 30));
    service.child.kill('SIGKILL');
    await service.exited;
    service.logs.length = 0;
  }
  ledger.generation = KILLS;
  ledger.plan(tooLargeRow);
  const last = await startServiceProcess(t, env);
  port = last.port;
  await load.finish();
  await drained(last.port);
  last.child.kill('SIGTERM');
  assert.deepEqual(await last.exited, { code: 0, signal: null });

  const dead = deadRows(files.dataDir);
  const stored = ledger.storedBy();
  const tooLarge = rowsRefusedAlone(ledger);
  const { accepted } = sender.tally;
  const expected = [...accepted].flatMap(([id, rows]) => Array.from({ length: rows }, (_, index) => `${id}-${index}`));
  const missing = expected.filter((rowId) => !stored.has(rowId));
  t.diagnostic(
    `seed ${random.seed}: ${KILLS} kills, ${accepted.size} events, ${expected.length} rows, ` +
      `${ledger.calls.length} calls, ${dead.size} dead rows, ${sender.tally.broken} broken connections, ` +
      `${sender.tally.answered503} answers 503, ${describe(duplicatesOf(stored))}`,
  );
  assert.deepEqual(
    missing.filter((rowId) => !dead.has(rowId)),
    [],
    'rows that are neither at Azure nor dead letters',
  );
  assert.deepEqual(
    [...dead].filter((rowId) => !tooLarge.has(rowId)),
    [],
    'rows were buried that Azure never refused alone',
  );
  assert.ok(dead.size >= Math.floor(KILLS / KILLS_PER_LARGE_ROW), 'the rows that are too large are all dead letters');
  assertDuplicatesAreExcused(stored);
});

/** A row that Azure refuses for its size in whatever call it comes: alone at last, it becomes a dead letter. */
const tooLargeRow: FaultStep = {
  target: 'ingest',
  times: 'forever',
  answer: { type: 'status', status: 413, body: { error: { code: 'ContentLengthLimitExceeded', message: 'x' } } },
  matchesRow: (row) => String(row['request_id']).startsWith('too-large-'),
};

interface Load {
  /** The next webhook is one whose row Azure refuses as too large. */
  addTooLarge(): void;
  /** Lets each sender finish the webhook that it is at. */
  finish(): Promise<void>;
}

/** Senders that always have one webhook under way: single events, wide ones, and arrays. */
function startLoad(t: TestContext, sender: RetryingSender, random: SeededRandom): Load {
  let count = 0;
  let isOver = false;
  let tooLarge = 0;
  const next = () => {
    if (tooLarge === 0) return ordinary();
    tooLarge--;
    return webhook(`too-large-${count++}`);
  };
  const ordinary = () => webhook(`r-${count++}`, random.next() < 0.2 ? random.between(2, 40) : 1);
  async function run(): Promise<void> {
    while (!isOver) {
      await sender.send(random.next() < 0.2 ? `[${next()},${next()},${next()}]` : next());
      await pause(random.between(0, 40));
    }
  }
  const running = Promise.all(Array.from({ length: SENDERS }, run));
  // It is awaited in finish; until then a failure must not be an unhandled one.
  running.catch(() => {});
  t.after(() => {
    isOver = true;
    sender.close();
  });
  return {
    addTooLarge: () => tooLarge++,
    finish() {
      isOver = true;
      return running.then(() => {});
    },
  };
}

/** Row ids of the dead letters, from the file itself: the process has ended. */
function deadRows(dataDir: string): Set<string> {
  const db = new DatabaseSync(path.join(dataDir, 'outbox.db'), { readOnly: true });
  try {
    const letters = db.prepare('SELECT event_id, rows FROM dead_letters JOIN events USING (seq)').all();
    const ids = letters.flatMap(({ event_id, rows }) =>
      (JSON.parse(String(rows)) as [number, number][]).flatMap(([from, to]) =>
        Array.from({ length: to - from }, (_, offset) => `${event_id}-${from + offset}`),
      ),
    );
    return new Set(ids);
  } finally {
    db.close();
  }
}

function rowsRefusedAlone(ledger: Ledger): Set<string> {
  const alone = ledger.calls.filter(({ request, rowIds }) => request.status === 413 && rowIds.length === 1);
  return new Set(alone.flatMap(({ rowIds }) => rowIds));
}

interface Duplicates {
  readonly rows: number;
  /** Calls whose rows came again though Azure's answer to them was whole, by the process that made them. */
  readonly answeredCalls: Map<number, Set<LedgerCall>>;
}

function duplicatesOf(stored: Map<string, LedgerCall[]>): Duplicates {
  const answeredCalls = new Map<number, Set<LedgerCall>>();
  let rows = 0;
  for (const calls of stored.values()) {
    rows += calls.length - 1;
    for (const call of calls.slice(0, -1).filter(({ request }) => request.outcome === 'answered')) {
      const known = answeredCalls.get(call.generation) ?? new Set();
      answeredCalls.set(call.generation, known.add(call));
    }
  }
  return { rows, answeredCalls };
}

function describe({ rows, answeredCalls }: Duplicates): string {
  const killed = [...answeredCalls.values()].reduce((sum, calls) => sum + calls.size, 0);
  return `${rows} rows twice (${killed} calls repeated because of a kill, the others because their answer was lost)`;
}

/**
 * A row comes twice only where the answer was lost, or where a kill came before the answer was written down: then it
 * is another process that sends it, and one kill repeats no more calls than were under way.
 */
function assertDuplicatesAreExcused(stored: Map<string, LedgerCall[]>): void {
  for (const [rowId, calls] of stored) {
    for (const [index, call] of calls.slice(0, -1).entries()) {
      const next = calls[index + 1];
      const isExcused = call.request.outcome !== 'answered' || next?.generation !== call.generation;
      assert.ok(isExcused, `row ${rowId} was sent again by the process that knew it was delivered`);
    }
  }
  for (const [generation, calls] of duplicatesOf(stored).answeredCalls) {
    assert.ok(calls.size <= PARALLEL_CALLS, `kill ${generation} repeated ${calls.size} calls`);
  }
}
