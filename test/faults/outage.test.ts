import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { type ServiceProcess, serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { drained, healthOf } from './support/health.ts';
import { keepLedger, type Ledger, type LedgerCall } from './support/ledger.ts';
import { megabytes, residentBytes, settledBytes } from './support/memory.ts';
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

test(`an outage with ${EVENTS} events waiting costs no memory, calls stay as full, and every row arrives once`, async (t) => {
  const emulator = await startTestEmulator(t, { streams: { [requestStream]: idColumns } });
  const files = await serviceFiles(t, emulator);
  const env = serviceEnv(emulator, files);
  const ledger = keepLedger(emulator);
  const first = await startServiceProcess(t, env);
  const accepted = await postAll(t, first, 'warm-up', WARM_UP_EVENTS);
  await drained(first.port);
  const idle = await settled(first);

  ledger.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  for (const id of await postAll(t, first, 'outage', EVENTS)) accepted.add(id);
  const duringOutage = await backTo(idle, first);
  assert.equal((await healthOf(first.port)).outbox.waiting, EVENTS);
  first.child.kill('SIGTERM');
  assert.deepEqual(await first.exited, { code: 0, signal: null });

  const second = await startServiceProcess(t, env);
  const afterRestart = await backTo(idle, second);
  ledger.plan();
  await drained(second.port, isLong ? 600_000 : undefined);
  const { first: early, last: late } = fullness(ledger, EVENTS);

  t.diagnostic(
    `${EVENTS} events waiting: resident ${describe(idle, `idle after ${WARM_UP_EVENTS} events`)}, ` +
      `${describe(duringOutage, 'in the outage')}, ${describe(afterRestart, 'restarted in it')}; ` +
      `${Math.round(early)} rows a call at first, ${Math.round(late)} at last`,
  );
  const stored = ledger.storedBy();
  assert.deepEqual(new Set(stored.keys()), accepted);
  assert.ok(
    [...stored.values()].every((calls) => calls.length === 1),
    'a row came twice',
  );
  assert.ok(late > early / 2, `calls carried ${early} rows at first and ${late} at last`);
});

/** Null where the system has no /proc. */
async function settled({ child }: ServiceProcess): Promise<number | null> {
  return process.platform === 'linux' ? settledBytes(Number(child.pid), SETTLE_MS) : null;
}

/** Waits until the process takes no more than it may above `idle`: memory is given back some time after the load. */
async function backTo(idle: number | null, { child }: ServiceProcess): Promise<number | null> {
  if (idle === null) return null;
  let bytes = Number.POSITIVE_INFINITY;
  await eventually(
    () => {
      bytes = residentBytes(Number(child.pid));
      return bytes - idle < MAX_GROWTH_BYTES;
    },
    () => `grew by ${megabytes(bytes - idle)} over ${megabytes(idle)}`,
  );
  return bytes;
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

/** Rows per call in the first and in the last quarter of the calls that carried the last `rows` rows. */
function fullness(ledger: Ledger, rows: number): { readonly first: number; readonly last: number } {
  const drain = ledger.calls.filter(({ request }) => request.storedRowCount > 0).slice(-callsOf(ledger, rows));
  const quarter = Math.ceil(drain.length / 4);
  const mean = (calls: readonly LedgerCall[]): number =>
    calls.reduce((sum, { request }) => sum + request.storedRowCount, 0) / calls.length;
  // The last calls carry what is left over.
  return { first: mean(drain.slice(0, quarter)), last: mean(drain.slice(-quarter - 4, -4)) };
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
