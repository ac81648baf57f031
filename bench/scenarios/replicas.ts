import { type Database, startDatabase } from '../database.ts';
import { documentedEvents } from '../events.ts';
import { closedLoop } from '../load.ts';
import { type Azure, startService } from '../processes.ts';
import type { Figure } from '../result.ts';
import { measureReplicasDrain } from './replicas-drain.ts';
import { measureReplicasLatency } from './replicas-latency.ts';
import { measureReplicasThroughput } from './replicas-throughput.ts';

const WARM_UP_MS = 800;

/** Against SQLite, which runs all the while and does nothing when it is not its turn. */
export async function measureReplicas(azure: Azure): Promise<Figure[]> {
  let database: Database;
  try {
    database = await startDatabase();
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return [{ scenario: 'PostgreSQL', name: 'replicas', value: null, unit: '/s', note: `skipped: ${reason}` }];
  }
  try {
    const sqlite = await startService(azure);
    await closedLoop(sqlite.target, documentedEvents('warm'), { connections: 64, durationMs: WARM_UP_MS });
    const figures = [
      ...(await measureReplicasThroughput({ azure, database, sqlite })),
      ...(await measureReplicasLatency({ azure, database, sqlite })),
    ];
    await sqlite.stop();
    return [...figures, ...(await measureReplicasDrain(azure, database))];
  } finally {
    await database.stop();
  }
}
