import { availableParallelism } from 'node:os';
import { type Commits, readCommits } from '../commits.ts';
import { bareCommitMs, type Database } from '../database.ts';
import { documentedEvents } from '../events.ts';
import { closedLoop } from '../load.ts';
import { type Azure, type Service, startService } from '../processes.ts';
import { type MachineTime, machineTime, processorTime } from '../processor-time.ts';
import type { Figure } from '../result.ts';
import { median } from '../statistics.ts';

const ROUNDS = 3;
const MAX_REPLICAS = 4;
const CONNECTIONS = 64;
const WARM_UP_MS = 1_000;
const MEASURED_MS = 1_000;
const BARE_COMMITS = 100;

/** Stands with the figures: more replicas cannot do more than the processors that all of them share. */
export const SHARED = `replicas, database, Azure and load generator share ${availableParallelism()} processors`;
const SCENARIO = `PostgreSQL: acknowledged webhooks a second (${CONNECTIONS} connections over all replicas; ${SHARED})`;

export interface Compared {
  readonly azure: Azure;
  readonly database: Database;
  readonly sqlite: Service;
}

interface Run {
  readonly webhooks: number;
  readonly perSecond: number;
  /** Of all processors, whoever used them. */
  readonly busyShare: number;
  readonly webhooksACommit: number;
  readonly commitMs: number;
  /** Processor time of a webhook; null where there is no /proc. */
  readonly serviceMs: number | null;
  readonly databaseMs: number | null;
}

/** By the number of replicas; SQLite's is 0. */
type Runs = ReadonlyMap<number, readonly Run[]>;

export async function measureReplicasThroughput(compared: Compared): Promise<Figure[]> {
  const runs = new Map<number, Run[]>();
  const bareMs: number[] = [];
  const add = (replicas: number, run: Run): void => void runs.set(replicas, [...(runs.get(replicas) ?? []), run]);
  for (let round = 0; round < ROUNDS; round++) {
    add(0, await measure([compared.sqlite], compared.database, `sqlite-${round}`));
    const { bare, byReplicas } = await measureRound(compared, `round_${round}`);
    bareMs.push(bare);
    for (const [index, run] of byReplicas.entries()) add(index + 1, run);
  }
  return [...throughputFigures(runs), ...costFigures(runs), ...commitFigures(runs, median(bareMs))];
}

/** One replica after the other is started on a new database, and measured with those that run already. */
async function measureRound({ azure, database }: Compared, name: string): Promise<{ bare: number; byReplicas: Run[] }> {
  const outboxUrl = await database.create(name);
  const client = await database.connect(name);
  const bare = await bareCommitMs(client, BARE_COMMITS);
  const replicas: Service[] = [];
  const byReplicas: Run[] = [];
  let acknowledged = 0;
  while (replicas.length < MAX_REPLICAS) {
    const newest = await startService(azure, { outboxUrl });
    replicas.push(newest);
    acknowledged += (await load([newest], `${name}-warm-${replicas.length}`, WARM_UP_MS)).latenciesMs.length;
    const run = await measure(replicas, database, `${name}-${replicas.length}`);
    acknowledged += run.webhooks;
    byReplicas.push(run);
  }
  await Promise.all(replicas.map((replica) => replica.stop()));
  const { rows } = await client.query<{ stored: number }>(
    'SELECT count(*)::integer AS stored FROM apono_sentinel.events',
  );
  await client.end();
  const stored = rows[0]?.stored;
  if (stored !== acknowledged) throw new Error(`${acknowledged} webhooks were acknowledged, ${stored} are stored`);
  return { bare, byReplicas };
}

const load = (services: readonly Service[], run: string, durationMs: number) =>
  closedLoop(
    services.map(({ target }) => target),
    documentedEvents(run),
    { connections: CONNECTIONS, durationMs },
  );

async function measure(services: readonly Service[], database: Database, run: string): Promise<Run> {
  const commitsBefore = await readCommits(services);
  const before = await readTimes(services, database);
  const { latenciesMs, durationMs } = await load(services, run, MEASURED_MS);
  const after = await readTimes(services, database);
  const commitsAfter = await readCommits(services);
  const webhooks = latenciesMs.length;
  const grown = (of: keyof Commits): number => commitsAfter[of] - commitsBefore[of];
  const each = (from: number | null, to: number | null): number | null =>
    from === null || to === null ? null : (to - from) / webhooks;
  return {
    webhooks,
    perSecond: (webhooks * 1000) / durationMs,
    busyShare: (after.machine.busyMs - before.machine.busyMs) / (after.machine.allMs - before.machine.allMs),
    webhooksACommit: grown('webhooks') / grown('commits'),
    commitMs: grown('totalMs') / grown('commits'),
    serviceMs: each(before.serviceMs, after.serviceMs),
    databaseMs: each(before.databaseMs, after.databaseMs),
  };
}

interface Times {
  readonly machine: MachineTime;
  readonly serviceMs: number | null;
  readonly databaseMs: number | null;
}

async function readTimes(services: readonly Service[], database: Database): Promise<Times> {
  const times = await Promise.all(services.map(({ pid }) => processorTime(pid)));
  const known = times.flatMap((time) => time?.all ?? []);
  const serviceMs = known.length === times.length ? known.reduce((sum, ms) => sum + ms, 0) : null;
  return { machine: machineTime(), serviceMs, databaseMs: await database.processorMs() };
}

const replicasOf = (count: number): string => (count === 1 ? '1 replica' : `${count} replicas`);

function middle(runs: Runs, replicas: number, of: keyof Run): number | null {
  const values = (runs.get(replicas) ?? []).flatMap((run) => run[of] ?? []);
  return values.length > 0 ? median(values) : null;
}

function figure(name: string, value: number | null, unit: string, extra: Partial<Figure> = {}): Figure {
  return { scenario: SCENARIO, name, value, unit, ...extra };
}

function ratio(value: number | null, base: number | null, against: string): Partial<Figure> {
  return value === null || base === null ? {} : { ratio: value / base, against };
}

function throughputFigures(runs: Runs): Figure[] {
  const perSecond = (replicas: number): number => middle(runs, replicas, 'perSecond') ?? Number.NaN;
  const busy = (replicas: number): string =>
    `processors ${((middle(runs, replicas, 'busyShare') ?? 0) * 100).toFixed(0)} % busy`;
  const ofMore = (count: number): Figure =>
    figure(replicasOf(count), perSecond(count), '/s', {
      ...ratio(perSecond(count), perSecond(1), '1 replica'),
      note: `${(perSecond(count) / perSecond(0)).toFixed(2)} × SQLite; ${busy(count)}`,
    });
  return [
    figure('SQLite, one process', perSecond(0), '/s', { note: busy(0) }),
    figure(replicasOf(1), perSecond(1), '/s', { ...ratio(perSecond(1), perSecond(0), 'SQLite'), note: busy(1) }),
    ...Array.from({ length: MAX_REPLICAS - 1 }, (_, index) => ofMore(index + 2)),
  ];
}

/** Whether a webhook costs more where there are more replicas: that is how they scale on processors of their own. */
function costFigures(runs: Runs): Figure[] {
  const microseconds = (replicas: number, of: 'serviceMs' | 'databaseMs'): number | null => {
    const ms = middle(runs, replicas, of);
    return ms === null ? null : ms * 1000;
  };
  const sqlite = microseconds(0, 'serviceMs');
  const cost = (name: string, value: number | null, against: Partial<Figure> = {}): Figure =>
    figure(`processor time a webhook, ${name}`, value, 'µs', {
      ...against,
      ...(value === null && { note: 'there is no /proc here' }),
    });
  const compared = (name: string, value: number | null): Figure =>
    cost(name, value, ratio(value, sqlite, 'SQLite: service'));
  return [
    cost('SQLite: service', sqlite),
    ...[1, MAX_REPLICAS].flatMap((count) => [
      compared(`${replicasOf(count)}: service`, microseconds(count, 'serviceMs')),
      compared(`${replicasOf(count)}: database`, microseconds(count, 'databaseMs')),
    ]),
  ];
}

function commitFigures(runs: Runs, bareMs: number): Figure[] {
  const of = (count: number, name: string): Figure[] => {
    const commitMs = middle(runs, count, 'commitMs');
    const against = count === 0 ? {} : ratio(commitMs, bareMs, 'bare commit');
    return [
      figure(`webhooks a commit, ${name}`, middle(runs, count, 'webhooksACommit'), 'webhooks'),
      figure(`commit, ${name}`, commitMs, 'ms', against),
    ];
  };
  return [
    ...of(0, 'SQLite'),
    ...of(1, '1 replica'),
    ...of(MAX_REPLICAS, `${MAX_REPLICAS} replicas`),
    figure('bare commit of one row in PostgreSQL', bareMs, 'ms'),
  ];
}
