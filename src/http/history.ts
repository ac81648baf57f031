import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { DeliveryEvent } from '../delivery/event.ts';
import type { Clock } from '../ground/clock.ts';
import { oldestAgeMs, summary } from '../outbox/port.ts';
import type { RequestRecord } from './exchange.ts';
import type { ServiceState } from './health.ts';

/** The plots show a day. */
const MINUTES = 1_440;
const MINUTE_MS = 60_000;
const FILE = 'history.json';

/** What happened within one minute. The order of the fields is that of the file. */
const fields = ['accepted', 'delivered', 'refused', 'oldestMs', 'latencyMs', 'deliveries', 'maxLatencyMs'] as const;
type Minute = Record<(typeof fields)[number], number>;

export type History = ReturnType<typeof createHistory>;
/** What the API and the page show of it. */
export type HistoryColumns = ReturnType<typeof columnsOf>;

interface HistoryOptions extends Pick<ServiceState, 'stats' | 'lastDelivery'> {
  /** Where the history is kept over restarts; null: only in memory. */
  readonly folder: string | null;
  readonly clock: Clock;
}

/**
 * The last day minute by minute, for the page and `status`. It is no audit record: it is written once a minute without a
 * sync, and a file that cannot be read is replaced. A minute in which the service did not run has no entry.
 */
export function createHistory({ folder, stats, lastDelivery, clock }: HistoryOptions) {
  const file = folder === null ? null : path.join(folder, FILE);
  const { minutes, accepted, delivered } = read(file);
  let cancelTimer = clock.setTimer(0, tick);

  /** By kind, also before the last restart. */
  function lastDelivered(): ReadonlyMap<string, number> {
    for (const [kind, time] of Object.entries(lastDelivery())) if (time !== null) delivered.set(kind, time);
    return delivered;
  }

  function now(): Minute {
    const number = Math.floor(clock.now() / MINUTE_MS);
    let minute = minutes.get(number);
    if (minute === undefined) {
      minute = minuteOf(fields.map(() => 0));
      minutes.set(number, minute);
      // Also what a clock that was set back has left in the future.
      for (const key of minutes.keys()) if (key <= number - MINUTES || key > number) minutes.delete(key);
    }
    return minute;
  }

  async function tick(): Promise<void> {
    cancelTimer = clock.setTimer(MINUTE_MS - (clock.now() % MINUTE_MS), tick);
    const minute = now();
    const known = await stats().catch(() => null);
    const ageMs = known === null ? 0 : oldestAgeMs(summary(known, []).undelivered, clock.now());
    minute.oldestMs = Math.max(minute.oldestMs, ageMs);
    await save();
  }

  async function save(): Promise<void> {
    if (file === null) return;
    const text = JSON.stringify({
      version: 1,
      minutes: [...minutes].map(([number, minute]) => [number, ...fields.map((field) => minute[field])]),
      accepted: Object.fromEntries(accepted),
      delivered: Object.fromEntries(lastDelivered()),
    });
    // A kill while the file is written must not leave half of one.
    await writeFile(`${file}.new`, text, { mode: 0o600 })
      .then(() => rename(`${file}.new`, file))
      .catch(() => undefined);
  }

  function accept(events: RequestRecord['events']): void {
    for (const { kind, action, rows, duplicate } of events) {
      accepted.set(`${kind} ${action}`, clock.now());
      if (!duplicate) now().accepted += rows;
    }
  }

  return {
    accept,
    onRequest(record: RequestRecord): void {
      if (record.route !== 'webhook') return;
      if (record.code !== null && record.code !== 'method_not_allowed') now().refused += 1;
      accept(record.events);
    },
    onDelivery(event: DeliveryEvent): void {
      if (event.type !== 'delivered') return;
      const latencyMs = Math.max(0, clock.now() - event.receivedAt);
      const minute = now();
      minute.delivered += event.rows;
      minute.deliveries += 1;
      minute.latencyMs += latencyMs;
      minute.maxLatencyMs = Math.max(minute.maxLatencyMs, latencyMs);
    },
    columns: () => columnsOf(minutes, Math.floor(clock.now() / MINUTE_MS)),
    /** By kind and action, a space between; milliseconds since the epoch. */
    lastAccepted: (): ReadonlyMap<string, number> => accepted,
    lastDelivered,
    /** Writes the file once more. Never rejects. */
    async stop(): Promise<void> {
      cancelTimer();
      await save();
    },
  };
}

/** One value for each minute of the day, oldest first; null where the service did not run, or nothing was measured. */
function columnsOf(minutes: ReadonlyMap<number, Minute>, last: number) {
  const numbers = [...Array(MINUTES).keys()].map((index) => last - MINUTES + 1 + index);
  const column = (read: (minute: Minute) => number | null): (number | null)[] =>
    numbers.map((number) => {
      const minute = minutes.get(number);
      return minute === undefined ? null : read(minute);
    });
  const seconds = (valueMs: number): number => Math.round(valueMs) / 1_000;
  return {
    /** Seconds since the epoch at which the minute began. */
    time: numbers.map((number) => number * 60),
    rows_accepted: column(({ accepted }) => accepted),
    rows_delivered: column(({ delivered }) => delivered),
    requests_refused: column(({ refused }) => refused),
    oldest_waiting_seconds: column(({ oldestMs }) => seconds(oldestMs)),
    delivery_mean_seconds: column(({ latencyMs, deliveries }) =>
      deliveries === 0 ? null : seconds(latencyMs / deliveries),
    ),
    delivery_max_seconds: column(({ maxLatencyMs, deliveries }) => (deliveries === 0 ? null : seconds(maxLatencyMs))),
  };
}

/** An unreadable file gives an empty history: nothing that is promised depends on it. */
function read(file: string | null) {
  const nothing = { minutes: new Map<number, Minute>(), accepted: timesOf({}), delivered: timesOf({}) };
  if (file === null) return nothing;
  try {
    const { version, minutes, accepted, delivered } = JSON.parse(readFileSync(file, 'utf8'));
    if (version !== 1) return nothing;
    const entries = (minutes as unknown[][]).map(
      ([number, ...values]) => [numberOf(number), minuteOf(values)] as const,
    );
    return { minutes: new Map(entries), accepted: timesOf(accepted), delivered: timesOf(delivered) };
  } catch {
    return nothing;
  }
}

function minuteOf(values: readonly unknown[]): Minute {
  return Object.fromEntries(fields.map((field, index) => [field, numberOf(values[index])])) as Minute;
}

function timesOf(value: object): Map<string, number> {
  return new Map(Object.entries(value).map(([name, time]) => [name, numberOf(time)]));
}

/** Throws a TypeError for anything else. */
function numberOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('The history holds no number there');
  return value;
}
