import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { DeliveryEvent } from '../delivery/event.ts';
import type { Clock } from '../ground/clock.ts';
import type { RequestRecord } from '../http/exchange.ts';
import type { History, HistoryColumns } from '../http/status.ts';

/** The plots show a day. */
const MINUTES = 1_440;
const MINUTE_MS = 60_000;
const FILE = 'history.json';

/** What happened within one minute. The order of the fields is that of the file. */
const fields = ['accepted', 'delivered', 'refused', 'oldestMs', 'latencyMs', 'deliveries', 'maxLatencyMs'] as const;
type Minute = Record<(typeof fields)[number], number>;

export interface HistoryOptions {
  /** Where the history is kept over restarts; null: only in memory. */
  readonly folder: string | null;
  /** How long the oldest event has waited, in milliseconds. It may reject. */
  readonly oldestAgeMs: () => Promise<number>;
  /** By kind, in milliseconds since the epoch; null: not since the start of this process. */
  readonly lastDelivery: () => Readonly<Record<string, number | null>>;
  readonly clock: Clock;
}

/**
 * The last day minute by minute, for the page and `status`. It is no audit record: it is written once a minute without a
 * sync, and a file that cannot be read is replaced. A minute in which the service did not run has no entry.
 */
export interface HistoryRecorder extends History {
  onRequest(record: RequestRecord): void;
  onDelivery(event: DeliveryEvent): void;
  /** Writes the file once more. Never rejects. */
  stop(): Promise<void>;
}

export function createHistory({ folder, oldestAgeMs, lastDelivery, clock }: HistoryOptions): HistoryRecorder {
  const file = folder === null ? null : path.join(folder, FILE);
  const saved = file === null ? empty() : read(file);
  const { minutes } = saved;
  /** By kind and action, a space between; milliseconds since the epoch. */
  const accepted = new Map(Object.entries(saved.accepted));
  const lastDelivered = (): Map<string, number> => {
    const known = Object.entries(lastDelivery()).filter((entry): entry is [string, number] => entry[1] !== null);
    return new Map([...Object.entries(saved.delivered), ...known]);
  };
  let cancelTimer = clock.setTimer(0, tick);

  function now(): Minute {
    const number = Math.floor(clock.now() / MINUTE_MS);
    let minute = minutes.get(number);
    if (minute === undefined) {
      minute = newMinute();
      minutes.set(number, minute);
      // Also what a clock that was set back has left in the future.
      for (const key of minutes.keys()) if (key <= number - MINUTES || key > number) minutes.delete(key);
    }
    return minute;
  }

  function tick(): void {
    cancelTimer = clock.setTimer(MINUTE_MS - (clock.now() % MINUTE_MS), tick);
    const minute = now();
    void oldestAgeMs()
      .then((ageMs) => {
        minute.oldestMs = Math.max(minute.oldestMs, ageMs);
      })
      .catch(() => undefined)
      .then(save);
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

  return {
    onRequest(record) {
      if (record.route !== 'webhook') return;
      if (record.code !== null && record.code !== 'method_not_allowed') now().refused += 1;
      for (const { kind, action, rows, duplicate } of record.events) {
        accepted.set(`${kind} ${action}`, clock.now());
        if (!duplicate) now().accepted += rows;
      }
    },
    onDelivery(event) {
      if (event.type !== 'delivered') return;
      const latencyMs = Math.max(0, clock.now() - event.receivedAt);
      const minute = now();
      minute.delivered += event.rows;
      minute.deliveries += 1;
      minute.latencyMs += latencyMs;
      minute.maxLatencyMs = Math.max(minute.maxLatencyMs, latencyMs);
    },
    columns: () => columnsOf(minutes, Math.floor(clock.now() / MINUTE_MS)),
    lastAccepted: () => accepted,
    lastDelivered,
    async stop() {
      cancelTimer();
      await save();
    },
  };
}

function columnsOf(minutes: ReadonlyMap<number, Minute>, last: number): HistoryColumns {
  const numbers = [...Array(MINUTES).keys()].map((index) => last - MINUTES + 1 + index);
  const column = (read: (minute: Minute) => number | null): (number | null)[] =>
    numbers.map((number) => {
      const minute = minutes.get(number);
      return minute === undefined ? null : read(minute);
    });
  const seconds = (valueMs: number): number => Math.round(valueMs) / 1_000;
  return {
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

function newMinute(): Minute {
  return { accepted: 0, delivered: 0, refused: 0, oldestMs: 0, latencyMs: 0, deliveries: 0, maxLatencyMs: 0 };
}

interface Saved {
  readonly minutes: Map<number, Minute>;
  readonly accepted: Readonly<Record<string, number>>;
  readonly delivered: Readonly<Record<string, number>>;
}

function empty(): Saved {
  return { minutes: new Map(), accepted: {}, delivered: {} };
}

/** An unreadable file gives an empty history: nothing that is promised depends on it. */
function read(file: string): Saved {
  try {
    const { version, minutes, accepted, delivered } = JSON.parse(readFileSync(file, 'utf8'));
    if (version !== 1) return empty();
    const entries = (minutes as unknown[][]).map(([number, ...values]): [number, Minute] => [
      numberOf(number),
      Object.fromEntries(fields.map((field, index) => [field, numberOf(values[index])])) as Minute,
    ]);
    return { minutes: new Map(entries), accepted: numbersOf(accepted), delivered: numbersOf(delivered) };
  } catch {
    return empty();
  }
}

function numbersOf(value: object): Record<string, number> {
  return Object.fromEntries(Object.entries(value).map(([name, time]) => [name, numberOf(time)]));
}

/** Throws a TypeError for anything else. */
function numberOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError('The history holds no number there');
  return value;
}
