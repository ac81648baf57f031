import { setTimeout as pause } from 'node:timers/promises';
import { type Bench, baseline, type Contestant, EXPRESS, startVersions, stopAll, warmUp } from '../contestants.ts';
import { type Database, startDatabase } from '../database.ts';
import { documentedEvents } from '../events.ts';
import { closedLoop } from '../load.ts';
import { residentMebibytes, startBaseline } from '../processes.ts';
import { processorTime, type ThreadGroup } from '../processor-time.ts';
import { type Figure, Turns } from '../result.ts';

/** Each with new processes. */
const ROUNDS = 2;
const TURNS = 2;
const CONNECTIONS = 64;
/** Until as much is delivered as comes, and the heap is as large again as it was before it had nothing to do. */
const LEAD_IN_MS = 2_000;
const MEASURED_MS = 2_000;
/** Before memory is read. */
const QUIET_MS = 5_000;
const SCENARIO = `Acknowledged webhooks a second (${CONNECTIONS} connections, Azure answers after 50 ms)`;

const threadGroups: readonly { readonly group: ThreadGroup; readonly name: string }[] = [
  { group: 'all', name: 'all threads' },
  { group: 'main', name: 'main thread' },
  { group: 'store', name: 'store thread' },
];

interface Measured {
  readonly rates: Turns;
  readonly processor: Readonly<Record<ThreadGroup, Turns>>;
  readonly startMs: Turns;
  readonly idle: Turns;
  readonly after: Turns;
}

export async function measureThroughput(bench: Bench): Promise<Figure[]> {
  const measured: Measured = {
    rates: new Turns(),
    processor: { all: new Turns(), main: new Turns(), store: new Turns() },
    startMs: new Turns(),
    idle: new Turns(),
    after: new Turns(),
  };
  const database = await startDatabase().catch((error: unknown) => {
    process.stderr.write(`without the peer that inserts into PostgreSQL: ${String(error)}\n`);
    return null;
  });
  try {
    for (let round = 0; round < ROUNDS; round++) await measureRound(bench, database, round, measured);
  } finally {
    await database?.stop();
  }
  const compared = { unit: 'µs', base: EXPRESS };
  return [
    ...measured.rates.figures(SCENARIO, { unit: '/s', base: EXPRESS }),
    ...threadGroups.flatMap(({ group, name }) =>
      measured.processor[group].figures('Processor time a webhook, without PostgreSQL', {
        ...compared,
        prefix: `${name}, `,
      }),
    ),
    ...measured.startMs.figures('Start', { unit: 'ms', base: EXPRESS }),
    ...measured.idle.figures('Resident memory', { prefix: 'after the start, ', unit: 'MiB', base: EXPRESS }),
    ...measured.after.figures('Resident memory', { prefix: 'after this load, ', unit: 'MiB', base: EXPRESS }),
  ];
}

async function measureRound(bench: Bench, database: Database | null, round: number, measured: Measured) {
  const { azure } = bench;
  const contestants = [
    baseline(EXPRESS, await startBaseline('express', azure)),
    baseline('Express that awaits upload()', await startBaseline('awaits-upload', azure)),
    ...(await startVersions(bench)),
  ];
  if (database !== null) {
    const receiver = await startBaseline('insert', azure, [await database.create(`insert_${round}`)]);
    contestants.push(baseline('Express with one INSERT a request', receiver));
  }
  await pause(QUIET_MS);
  await eachMemory(contestants, measured.idle);
  for (const { name, receiver } of contestants) measured.startMs.add(name, receiver.startMs);
  for (const contestant of contestants) await warmUp(contestant, `${contestant.name}-${round}`);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const contestant of contestants) await measure(contestant, `${contestant.name}-${round}-${turn}`, measured);
  }
  await pause(QUIET_MS);
  await eachMemory(contestants, measured.after);
  await stopAll(contestants);
}

async function eachMemory(contestants: readonly Contestant[], into: Turns): Promise<void> {
  for (const { name, receiver } of contestants) into.add(name, await residentMebibytes(receiver));
}

async function measure({ name, receiver, settle }: Contestant, run: string, { rates, processor }: Measured) {
  const load = (part: string, durationMs: number) =>
    closedLoop(receiver.target, documentedEvents(`${run}-${part}`), { connections: CONNECTIONS, durationMs });
  await load('lead-in', LEAD_IN_MS);
  const before = await processorTime(receiver.pid);
  const { latenciesMs, durationMs } = await load('run', MEASURED_MS);
  const after = await processorTime(receiver.pid);
  rates.add(name, (latenciesMs.length * 1000) / durationMs);
  for (const { group } of threadGroups) {
    const spentMs = before === null || after === null ? null : after[group] - before[group];
    // The baselines have no store thread.
    processor[group].add(name, !spentMs ? null : (spentMs * 1000) / latenciesMs.length);
  }
  await settle();
}
