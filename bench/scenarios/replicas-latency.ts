import { documentedEvents } from '../events.ts';
import { closedLoop, openLoop } from '../load.ts';
import { drained, type Service, startService } from '../processes.ts';
import type { Figure } from '../result.ts';
import { median, percentile } from '../statistics.ts';
import type { Compared } from './replicas-throughput.ts';

const ROUNDS = 3;
const PER_SECOND = 200;
const CONNECTIONS = 64;
const WARM_UP_MS = 800;
const MEASURED_MS = 900;
const SCENARIO = `PostgreSQL: latency of the answer at ${PER_SECOND} webhooks a second`;

type Latencies = readonly (readonly number[])[];

/** A pace at which neither waits for a processor: what the way to the database adds. */
export async function measureReplicasLatency({ azure, database, sqlite }: Compared): Promise<Figure[]> {
  const replica = await startService(azure, { outboxUrl: await database.create('latency') });
  const warm = { connections: CONNECTIONS, durationMs: WARM_UP_MS };
  await closedLoop(replica.target, documentedEvents('latency-warm'), warm);
  await Promise.all([drained(sqlite), drained(replica)]);
  const ofSqlite: (readonly number[])[] = [];
  const ofReplica: (readonly number[])[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ofSqlite.push(await measure(sqlite, `latency-sqlite-${round}`));
    ofReplica.push(await measure(replica, `latency-replica-${round}`));
  }
  await replica.stop();
  const middle = (of: Latencies, share: number): number => median(of.map((each) => percentile(each, share)));
  const figures = (name: string, share: number): Figure[] => {
    const [value, base] = [middle(ofReplica, share), middle(ofSqlite, share)];
    return [
      { scenario: SCENARIO, name: `1 replica, ${name}`, value, unit: 'ms', ratio: value / base, against: 'SQLite' },
      { scenario: SCENARIO, name: `SQLite, ${name}`, value: base, unit: 'ms' },
    ];
  };
  return [...figures('p50', 0.5), ...figures('p99', 0.99)];
}

async function measure({ target }: Service, run: string): Promise<readonly number[]> {
  const options = { perSecond: PER_SECOND, durationMs: MEASURED_MS, connections: CONNECTIONS };
  return (await openLoop(target, documentedEvents(run), options)).latenciesMs;
}
