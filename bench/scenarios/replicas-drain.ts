import type { Database } from '../database.ts';
import { documentedEvents, lists } from '../events.ts';
import { sendAll } from '../load.ts';
import { type Azure, drained, startService } from '../processes.ts';
import type { Figure } from '../result.ts';
import { median } from '../statistics.ts';
import { SHARED } from './replicas-throughput.ts';

const ROUNDS = 2;
/** So that each of four replicas has a whole claim. */
const EVENTS = 8_000;
const EVENTS_A_WEBHOOK = 500;
const REPLICAS = [1, 4];
const FILLED = 'filled';
const HOLDER = 0;
const CHANNEL = 'apono_sentinel';
const SCENARIO = `PostgreSQL: drain of ${EVENTS.toLocaleString('en')} waiting events, each delivered once (${SHARED})`;

/** A copy of the same backlog each time. */
export async function measureReplicasDrain(azure: Azure, database: Database): Promise<Figure[]> {
  await fill(azure, database);
  const rates = new Map<number, number[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const count of REPLICAS) {
      const rate = await measure(azure, database, { name: `drain_${round}_${count}`, count });
      rates.set(count, [...(rates.get(count) ?? []), rate]);
    }
  }
  const base = median(rates.get(1) ?? []);
  return REPLICAS.map((count) => {
    const value = median(rates.get(count) ?? []);
    const figure = { scenario: SCENARIO, value, unit: 'rows/s' };
    if (count === 1) return { ...figure, name: '1 replica' };
    return { ...figure, name: `${count} replicas`, ratio: value / base, against: '1 replica' };
  });
}

async function fill(azure: Azure, database: Database): Promise<void> {
  azure.set({ isDown: true });
  const filling = await startService(azure, { outboxUrl: await database.create(FILLED) });
  await sendAll(filling.target, lists(documentedEvents('drain'), EVENTS, EVENTS_A_WEBHOOK), 4);
  await filling.stop();
  azure.set({ isDown: false });
  const client = await database.connect(FILLED);
  // Otherwise the pause that replicas agreed on while Azure was down would be measured.
  await client.query('DELETE FROM apono_sentinel.paces');
  // Held by a replica that never ends, so that a replica that is started first does not drain alone.
  await client.query(`INSERT INTO apono_sentinel.replicas (id, alive_until) VALUES (${HOLDER}, 'infinity')`);
  await client.query(`UPDATE apono_sentinel.events SET holder = ${HOLDER}`);
  await client.end();
}

/** Rows a second, from when all replicas may claim to when the last row has arrived. */
async function measure(
  azure: Azure,
  database: Database,
  { name, count }: { readonly name: string; readonly count: number },
): Promise<number> {
  const outboxUrl = await database.create(name, FILLED);
  const client = await database.connect(name);
  const replicas = await Promise.all(Array.from({ length: count }, () => startService(azure, { outboxUrl })));
  await azure.report();
  azure.set({ looksInside: true });
  const begunAt = performance.timeOrigin + performance.now();
  await client.query(`DELETE FROM apono_sentinel.replicas WHERE id = ${HOLDER}`);
  await client.query('SELECT pg_notify($1, $2)', [
    CHANNEL,
    JSON.stringify({ from: 'bench', kind: 'request', bytes: 1e9 }),
  ]);
  await client.end();
  await Promise.all(replicas.map(drained));
  const { arrivals, rows } = await azure.report();
  azure.set({ looksInside: false });
  await Promise.all(replicas.map((replica) => replica.stop()));
  if (arrivals.length !== EVENTS || rows !== EVENTS) {
    throw new Error(`${EVENTS} events waited; ${rows} rows of ${arrivals.length} of them arrived`);
  }
  const lastAt = arrivals.reduce((latest, [, at]) => Math.max(latest, at), 0);
  return (EVENTS * 1000) / (lastAt - begunAt);
}
