import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import type { Outbox } from '../../src/outbox/port.ts';
import { openSqliteOutbox } from '../../src/outbox/sqlite/outbox.ts';
import { logLines } from '../azure/support.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { type ServiceProcess, serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { drained, healthOf } from './support/health.ts';
import { keepLedger, type Ledger } from './support/ledger.ts';
import { megabytes, settledBytes } from './support/memory.ts';
import { isLong } from './support/random.ts';
import { idColumns } from './support/streams.ts';
import { retryingSender, webhook } from './support/webhooks.ts';

/** A day of a busy company, and what `npm test` has time for. */
const EVENTS = isLong ? 200_000 : 10_000;
/** What an idle process is measured after: it has run through the same code, and its heap has had its peaks. */
const WARM_UP_EVENTS = isLong ? 50_000 : 8_000;
const EVENTS_PER_WEBHOOK = 100;
const MAX_GROWTH_BYTES = 50e6;
const SETTLE_MS = isLong ? 15_000 : 1_500;
const justification = 'Reading the invoices of last month for the audit. '.repeat(8);

test(`an outage with ${EVENTS} events waiting costs no memory and no speed, and every row arrives once`, async (t) => {
  const emulator = await startTestEmulator(t, { streams: { [requestStream]: idColumns } });
  const files = await serviceFiles(t, emulator);
  const env = serviceEnv(emulator, files);
  const ledger = keepLedger(emulator);
  const first = await startServiceProcess(t, env);
  const started = await settled(first);
  const accepted = await postAll(t, first, 'warm-up', WARM_UP_EVENTS);
  await drained(first.port, 60_000);
  const idle = await settled(first);

  ledger.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  for (const id of await postAll(t, first, 'outage', EVENTS)) accepted.add(id);
  const duringOutage = await settled(first);
  assert.equal((await healthOf(first.port)).outbox.waiting, EVENTS);
  first.child.kill('SIGTERM');
  assert.deepEqual(await first.exited, { code: 0, signal: null });

  const claims = await claimTimes(files.dataDir);
  const second = await startServiceProcess(t, env);
  const afterRestart = await settled(second);
  ledger.plan();
  await drained(second.port, isLong ? 600_000 : 60_000);
  const { ratio, rowsPerSecond } = drainPace(ledger, EVENTS);

  t.diagnostic(
    `${EVENTS} events waiting: resident ${describe(started, 'when started')}, ${describe(idle, `idle after ${WARM_UP_EVENTS} events`)}, ${describe(duringOutage, 'in the outage')}, ` +
      `${describe(afterRestart, 'restarted in it')}; a claim took ${claims.ratio.toFixed(2)} times as long as with ` +
      `${SMALL_BACKLOG}; drain ${Math.round(rowsPerSecond)} rows/s, last quarter ${ratio.toFixed(2)} times as fast as the first`,
  );
  const stored = ledger.storedBy();
  assert.deepEqual(new Set(stored.keys()), accepted);
  assert.ok(
    [...stored.values()].every((calls) => calls.length === 1),
    'a row came twice',
  );
  assert.ok(claims.ratio < 5, `a claim takes ${claims.ratio} times as long with ${EVENTS} events waiting`);
  assert.ok(ratio > 1 / 3, `the last quarter of the drain went at ${ratio} of the first one's pace`);
  if (idle === null || duringOutage === null || afterRestart === null) return;
  for (const bytes of [duringOutage, afterRestart]) {
    assert.ok(bytes - idle < MAX_GROWTH_BYTES, `grew by ${megabytes(bytes - idle)} over ${megabytes(idle)}`);
  }
});

/** Null where the system has no /proc. */
async function settled({ child }: ServiceProcess): Promise<number | null> {
  return process.platform === 'linux' ? settledBytes(Number(child.pid), SETTLE_MS) : null;
}

const describe = (bytes: number | null, when: string) => `${bytes === null ? '?' : megabytes(bytes)} ${when}`;

/** Posts so many events, in arrays. The row ids of those that were accepted. */
async function postAll(t: TestContext, { port }: ServiceProcess, name: string, count: number): Promise<Set<string>> {
  const sender = retryingSender(() => port, 4);
  t.after(() => sender.close());
  let next = 0;
  async function run(): Promise<void> {
    while (next < count) {
      const size = Math.min(EVENTS_PER_WEBHOOK, count - next);
      const events = Array.from({ length: size }, (_, index) =>
        webhook(`${name}-${next + index}`, 1, { justification }),
      );
      next += size;
      await sender.send(`[${events.join()}]`);
    }
  }
  await Promise.all([run(), run(), run(), run()]);
  sender.close();
  return new Set([...sender.tally.accepted.keys()].map((eventId) => `${eventId}-0`));
}

const SMALL_BACKLOG = 1_000;
const EVENTS_PER_CLAIM = 200;
const CLAIMS = 21;

/** Claims from the full outbox and from a small one in turn, so that whatever slows the machine slows both. */
async function claimTimes(dataDir: string): Promise<{ ratio: number }> {
  const full = await open(dataDir);
  const smallDir = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-claims-'));
  const small = await open(smallDir);
  try {
    await fill(small);
    const times = { full: [] as number[], small: [] as number[] };
    for (let round = 0; round < CLAIMS; round++) {
      times.small.push(await timeOfClaim(small));
      times.full.push(await timeOfClaim(full));
    }
    return { ratio: median(times.full) / median(times.small) };
  } finally {
    await Promise.all([full.close(), small.close()]);
    await rm(smallDir, { recursive: true, force: true });
  }
}

function open(dataDir: string): Promise<Outbox> {
  const { log } = logLines();
  const onFatal = (error: Error) => assert.fail(error);
  return openSqliteOutbox({ dataDir, maxBytes: 1 << 30, clock: systemClock, log, onFatal });
}

async function fill(outbox: Outbox): Promise<void> {
  const meta = { receivedAt: Date.now(), bodyForm: 'json', feed: null } as const;
  const entries = Array.from({ length: SMALL_BACKLOG }, (_, index) => {
    const body = webhook(`small-${index}`, 1, { justification });
    return {
      type: 'event',
      eventId: `v1-${index}`,
      kind: 'request',
      body,
      meta,
      rowCount: 1,
      mappedBytes: 1_700,
    } as const;
  });
  assert.equal((await outbox.put(entries)).outcome, 'stored');
}

async function timeOfClaim(outbox: Outbox): Promise<number> {
  const started = performance.now();
  const claimed = await outbox.claim({ kind: 'request', maxEvents: EVENTS_PER_CLAIM, maxMappedBytes: 1e9 });
  const elapsed = performance.now() - started;
  assert.equal(claimed.length, EVENTS_PER_CLAIM);
  const unsent = claimed.map(({ eventId, token }) => ({ eventId, token, delivered: [], dead: [], release: true }));
  await outbox.settle(unsent);
  return elapsed;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** `ratio`: the pace of the last quarter of the rows over that of the first. */
function drainPace(ledger: Ledger, rows: number): { ratio: number; rowsPerSecond: number } {
  const drain = ledger.calls.filter(({ request }) => request.storedRowCount > 0).slice(-callsOf(ledger, rows));
  const ends = drain.flatMap(({ request }) => Array<number>(request.storedRowCount).fill(request.endedAt ?? 0));
  const started = drain[0]?.request.at ?? Number.NaN;
  const at = (share: number) => ends[Math.ceil(rows * share) - 1] ?? Number.NaN;
  const firstQuarterMs = at(0.25) - started;
  const lastQuarterMs = at(1) - at(0.75);
  return { ratio: firstQuarterMs / lastQuarterMs, rowsPerSecond: (rows / (at(1) - started)) * 1000 };
}

/** How many of the last calls carried so many rows: those of the drain, not of the warm-up. */
function callsOf(ledger: Ledger, rows: number): number {
  let left = rows;
  let calls = 0;
  for (const { request } of ledger.calls.filter(({ request }) => request.storedRowCount > 0).toReversed()) {
    if (left <= 0) break;
    left -= request.storedRowCount;
    calls++;
  }
  return calls;
}
