import { documentedEvents, lists } from '../events.ts';
import { sendAll } from '../load.ts';
import { type Azure, residentBytes, type Service, startService, waitingEvents } from '../processes.ts';
import type { Figure } from '../result.ts';
import { median } from '../statistics.ts';

const BACKLOGS = [
  { events: 1_000, rounds: 3 },
  { events: 10_000, rounds: 3 },
  { events: 100_000, rounds: 1 },
];
/** Smaller ones go in a call or two, too few to tell a rate. */
const BASE_EVENTS = 10_000;
const EVENTS_A_WEBHOOK = 500;
/** At how many moments a drain has been seen, at least, for its speed to mean something. */
const MIN_LOOKS = 10;
const SCENARIO = '4. Drain of a backlog (one row an event)';

interface Drain {
  /** Null: it was over before it could be looked at often enough. */
  readonly rowsPerSecond: number | null;
  /** How fast the last quarter went, against the first. */
  readonly lastToFirst: number | null;
  /** Memory when the last quarter goes, against that of the second: of a service that works, not of one just started. */
  readonly memoryLastToSecond: number | null;
  readonly grownBytes: number | null;
}

/** Started anew into the backlog, as after an outage: what the load before left in memory is not counted. */
export async function measureDrain(azure: Azure): Promise<Figure[]> {
  const figures: Figure[] = [];
  let base: number | null = null;
  for (const { events, rounds } of BACKLOGS) {
    const drains: Drain[] = [];
    for (let round = 0; round < rounds; round++) drains.push(await measure(azure, events, `${events}-${round}`));
    const rates = drains.flatMap(({ rowsPerSecond }) => rowsPerSecond ?? []);
    const rate = rates.length > 0 ? median(rates) : null;
    if (events === BASE_EVENTS) base = rate;
    const quarters = drains.flatMap(({ lastToFirst }) => lastToFirst ?? []);
    const memories = drains.flatMap(({ memoryLastToSecond }) => memoryLastToSecond ?? []);
    const grown = drains.flatMap(({ grownBytes }) => grownBytes ?? []);
    const name = `${events.toLocaleString('en')} events`;
    figures.push(
      {
        scenario: SCENARIO,
        name,
        value: rate,
        unit: 'rows/s',
        ...(rate === null && { note: 'over before it could be looked at often enough' }),
        ...(rate !== null &&
          base !== null &&
          events !== BASE_EVENTS && { ratio: rate / base, against: 'that of 10,000' }),
      },
      {
        scenario: SCENARIO,
        name: `${name}: last quarter`,
        value: quarters.length > 0 ? median(quarters) : null,
        unit: '× the first',
      },
      {
        scenario: SCENARIO,
        name: `${name}: memory, last quarter`,
        value: memories.length > 0 ? median(memories) : null,
        unit: '× the second',
      },
      {
        scenario: SCENARIO,
        name: `${name}: memory grown by`,
        value: grown.length > 0 ? median(grown) / 2 ** 20 : null,
        unit: 'MiB',
        note: 'since it was started',
      },
    );
  }
  return figures;
}

async function measure(azure: Azure, events: number, run: string): Promise<Drain> {
  azure.set({ isDown: true });
  const filling = await startService(azure);
  await sendAll(filling.target, lists(documentedEvents(run), events, EVENTS_A_WEBHOOK), 4);
  await filling.stop();
  const service = await startService(azure, { dataDir: filling.dataDir });
  const idleBytes = await residentBytes(service);
  azure.set({ isDown: false });
  const drain = await follow(service, events);
  const afterBytes = await residentBytes(service);
  await service.stop();
  const grownBytes = idleBytes === null || afterBytes === null ? null : afterBytes - idleBytes;
  return { ...drain, grownBytes };
}

/** From the first delivery, since the pause before it is the backoff's, to the last. */
async function follow(service: Service, events: number): Promise<Omit<Drain, 'grownBytes'>> {
  const times: { readonly left: number; readonly atMs: number; readonly bytes: number | null }[] = [];
  for (let left = events; left > 0; ) {
    left = await waitingEvents(service);
    if (left < events) times.push({ left, atMs: performance.now(), bytes: await residentBytes(service) });
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined || times.length < MIN_LOOKS) {
    return { rowsPerSecond: null, lastToFirst: null, memoryLastToSecond: null };
  }
  const reached = (left: number): number => times.find((time) => time.left <= left)?.atMs ?? last.atMs;
  const quarter = first.left / 4;
  const memory = (fromLeft: number, toLeft: number): number | null => {
    const seen = times.flatMap(({ left, bytes }) =>
      bytes !== null && left <= fromLeft && left >= toLeft ? bytes : [],
    );
    return seen.length > 0 ? median(seen) : null;
  };
  const [second, fourth] = [memory(3 * quarter, 2 * quarter), memory(quarter, 0)];
  const firstQuarterMs = reached(first.left - quarter) - first.atMs;
  const lastQuarterMs = last.atMs - reached(quarter);
  return {
    rowsPerSecond: (first.left * 1000) / (last.atMs - first.atMs),
    lastToFirst: firstQuarterMs / lastQuarterMs,
    memoryLastToSecond: second === null || fourth === null ? null : fourth / second,
  };
}
