import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { DeliveryEvent } from '../delivery/event.ts';
import type { Clock } from '../ground/clock.ts';
import { oldestAgeMs, type ReceivedAs, summary } from '../outbox/port.ts';
import type { RequestRecord } from './exchange.ts';
import type { ServiceState } from './health.ts';

/** The plots show a day. */
const MINUTES = 1_440;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const HOUR_MINUTES = 60;
/** The number of the minute since the epoch. */
const minuteOf = (timeMs: number): number => Math.floor(timeMs / MINUTE_MS);
/** Of one hour: an attacker with many addresses must not fill the memory. */
const MAX_REFUSAL_COUNTS = 2_000;
/** A Date takes no later time (ECMA-262, 21.4.1.1). */
const MAX_TIME_MS = 8.64e15;
const FILE = 'history.json';

/** What happened within one minute. The file has it as it is: another form needs another VERSION. */
const nothing = { accepted: 0, delivered: 0, refused: 0, oldestMs: 0, latencyMs: 0, deliveries: 0, maxLatencyMs: 0 };
type Minute = typeof nothing;
const fields = Object.keys(nothing) as (keyof Minute)[];
const VERSION = 3;

export type History = ReturnType<typeof createHistory>;
export type HistoryColumns = ReturnType<typeof columnsOf>;

/** Refused requests of the last hour that have one code and came from one address. */
export interface Refusal {
  readonly code: string;
  /** Null: the caller had the secret, or there were too many addresses to remember. */
  readonly clientAddress: string | null;
  readonly count: number;
  /** Milliseconds since the epoch. */
  readonly lastAt: number;
}

interface HistoryOptions extends Pick<ServiceState, 'stats'> {
  /** Where the history is kept over restarts; null: only in memory. */
  readonly folder: string | null;
  readonly clock: Clock;
}

/**
 * What came to the webhook and what Azure took, for the page, `status` and /healthz: the last day minute by minute, and
 * when each kind last did. It is no audit record: it is written once a minute without a sync, and a file that cannot be
 * read is replaced. A minute in which the service did not run has no entry. Refusals, and what is known of the previous
 * secret and of escaped text, are of this process alone. Times are milliseconds since the epoch.
 */
export function createHistory({ folder, stats, clock }: HistoryOptions) {
  const file = folder === null ? null : path.join(folder, FILE);
  const { secret, ...saved } = read(file);
  const [minutes, accepted, delivered] = [new Map(saved.minutes), new Map(saved.accepted), new Map(saved.delivered)];
  const { count, ...refusals } = createRefusals(clock);
  let lookedEscapedAt = Number.NEGATIVE_INFINITY;
  let previousUsedAt: number | null = null;
  let cancelTimer = clock.setTimer(0, tick);

  function now(): Minute {
    const number = minuteOf(clock.now());
    let minute = minutes.get(number);
    if (minute === undefined) {
      minute = { ...nothing };
      minutes.set(number, minute);
      // Also what a clock that was set back has left in the future.
      for (const key of minutes.keys()) if (key <= number - MINUTES || key > number) minutes.delete(key);
    }
    return minute;
  }

  async function tick(): Promise<void> {
    cancelTimer = clock.setTimer(MINUTE_MS - (clock.now() % MINUTE_MS), tick);
    const minute = now();
    const known = await stats();
    const ageMs = known === null ? 0 : oldestAgeMs(summary(known, []).undelivered, clock.now());
    minute.oldestMs = Math.max(minute.oldestMs, ageMs);
    await save();
  }

  async function save(): Promise<void> {
    if (file === null) return;
    const listed = (_name: string, value: unknown) => (value instanceof Map ? [...value] : value);
    const text = JSON.stringify({ version: VERSION, minutes, accepted, delivered, secret }, listed);
    // A kill while the file is written must not leave half of one.
    await writeFile(`${file}.new`, text, { mode: 0o600 })
      .then(() => rename(`${file}.new`, file))
      .catch(() => undefined);
  }

  return {
    ...refusals,
    onAccepted({ events, looksEscaped }: ReceivedAs<'accepted'>): void {
      if (looksEscaped) lookedEscapedAt = clock.now();
      for (const { kind, action, rows, duplicate } of events) {
        accepted.set(`${kind} ${action}`, clock.now());
        if (!duplicate) now().accepted += rows;
      }
    },
    onRequest(record: RequestRecord): void {
      if (record.authentication === 'previous') previousUsedAt = clock.now();
      if (record.route !== 'webhook' || record.code === null || record.code === 'method_not_allowed') return;
      now().refused += 1;
      count(record.code, record);
    },
    /** Called with the webhook secret that holds from now on, at the start and when it is read again. */
    onSecret(text: string): void {
      const mark = markOf(text);
      if (mark !== secret.mark) Object.assign(secret, { mark, since: clock.now() });
    },
    onDelivery(event: DeliveryEvent): void {
      if (event.type !== 'delivered') return;
      const latencyMs = Math.max(0, clock.now() - event.receivedAt);
      const minute = now();
      minute.delivered += event.rows;
      minute.deliveries += 1;
      minute.latencyMs += latencyMs;
      minute.maxLatencyMs = Math.max(minute.maxLatencyMs, latencyMs);
      const key = `${event.kind} ${event.action}`;
      delivered.set(key, clock.now());
      // After a kill the history has forgotten its last minute; what is delivered now was accepted then.
      accepted.set(key, Math.max(accepted.get(key) ?? 0, event.receivedAt));
    },
    columns: () => columnsOf(minutes, minuteOf(clock.now())),
    /** By kind and action, a space between; duplicates count. */
    lastAccepted: (): ReadonlyMap<string, number> => accepted,
    /** In the same way; of an event whose rows went in several calls the last one that was taken. */
    lastDelivered: (): ReadonlyMap<string, number> => delivered,
    /** When the webhook secret was first used; without a folder, by this process. */
    secretSince: (): number => secret.since,
    previousSecretLastUsedAt: (): number | null => previousUsedAt,
    /** Whether within the last day an event was accepted whose text looks as if a template had escaped it. */
    looksEscaped: (): boolean => clock.now() - lookedEscapedAt < DAY_MS,
    /** Writes the file once more. Never rejects. */
    async stop(): Promise<void> {
      cancelTimer();
      await save();
    },
  };
}

/** The refusals of one minute that have one code and address, and were kept in quarantine or not. */
type RefusalCount = Refusal & { readonly quarantined: boolean };

/**
 * The refusals of the last hour. Each may mean that an event of Apono's is missing. A wrong method does not (Apono sends
 * POST or PUT), nor does another path: those requests come from scanners and from people with a browser. Memory is
 * bounded: above MAX_REFUSAL_COUNTS, further addresses are not told apart.
 */
function createRefusals(clock: Clock) {
  const counts = new Map<string, RefusalCount>();

  /** If the clock was set back, minutes that are still to come are not of the last hour. */
  function lastHour(): RefusalCount[] {
    const ageOf = ({ lastAt }: Refusal): number => minuteOf(clock.now()) - minuteOf(lastAt);
    return [...counts.values()].filter((entry) => ageOf(entry) >= 0 && ageOf(entry) < HOUR_MINUTES);
  }

  return {
    count(code: string, { clientAddress, quarantined }: RequestRecord): void {
      const now = clock.now();
      const recent = new Set(lastHour());
      for (const [key, entry] of counts) if (!recent.has(entry)) counts.delete(key);
      const address = counts.size < MAX_REFUSAL_COUNTS ? clientAddress : null;
      const key = JSON.stringify([minuteOf(now), code, address, quarantined]);
      const count = (counts.get(key)?.count ?? 0) + 1;
      counts.set(key, { code, clientAddress: address, quarantined, count, lastAt: now });
    },
    /** By code, the most frequent first. `lost`: only those not kept in quarantine. */
    refused(which: 'all' | 'lost'): Readonly<Record<string, number>> {
      const total = new Map<string, number>();
      for (const { code, count, quarantined } of lastHour()) {
        if (which === 'all' || !quarantined) total.set(code, (total.get(code) ?? 0) + count);
      }
      return Object.fromEntries([...total].toSorted(([, a], [, b]) => b - a));
    },
    /** By code and address, the most frequent first, for the admin port alone. */
    refusals(): readonly Refusal[] {
      const bySource = new Map<string, Refusal>();
      for (const { code, clientAddress, count, lastAt } of lastHour()) {
        const key = `${code} ${clientAddress}`;
        const before = bySource.get(key) ?? { count: 0, lastAt: 0 };
        const latest = Math.max(before.lastAt, lastAt);
        bySource.set(key, { code, clientAddress, count: before.count + count, lastAt: latest });
      }
      return [...bySource.values()].toSorted((a, b) => b.count - a.count);
    },
  };
}

/** One value for each minute of the day, oldest first; null where the service did not run, or nothing was measured. */
function columnsOf(minutes: ReadonlyMap<number, Minute>, last: number) {
  const numbers = [...Array(MINUTES).keys()].map((index) => last - MINUTES + 1 + index);
  const shown = numbers.map((number) => minutes.get(number) ?? null);
  const column = (read: (minute: Minute) => number | null) => shown.map((minute) => minute && read(minute));
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

/** Sixteen bits of its hash: enough to see that it was changed, and no help to anybody who guesses at it. */
function markOf(secret: string): number {
  return createHash('sha256').update(secret).digest().readUInt16BE();
}

/** A file that cannot be read, or has something else than numbers, gives an empty history: /healthz must not fail of it. */
function read(file: string | null) {
  const empty = {
    version: VERSION,
    minutes: [] as [number, Minute][],
    accepted: [] as [string, number][],
    delivered: [] as [string, number][],
    secret: { mark: -1, since: 0 },
  };
  if (file === null) return empty;
  try {
    const saved: typeof empty = JSON.parse(readFileSync(file, 'utf8'));
    const counts = saved.minutes.flatMap(([number, minute]) => [number, ...fields.map((field) => minute[field])]);
    const times = [...saved.accepted, ...saved.delivered].map(([, timeMs]) => timeMs);
    const numbers = [...counts, ...times, saved.secret.mark, saved.secret.since];
    const isKnown = numbers.every((one) => typeof one === 'number' && Math.abs(one) <= MAX_TIME_MS);
    return saved.version === VERSION && isKnown ? saved : empty;
  } catch {
    return empty;
  }
}
