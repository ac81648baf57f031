import type { Clock } from '../ground/clock.ts';
import type { RequestRecord } from './exchange.ts';

const MINUTE_MS = 60_000;
const HOUR_MINUTES = 60;
const DAY_MS = 86_400_000;
/** Of one hour: an attacker with many addresses must not fill the memory. */
const MAX_REFUSAL_COUNTS = 2_000;

/** Refused requests of the last hour that have one code and came from one address. */
export interface Refusal {
  readonly code: string;
  /** Null: the caller had the secret, or there were too many addresses to remember. */
  readonly clientAddress: string | null;
  readonly count: number;
  /** Milliseconds since the epoch, to the minute. */
  readonly lastAt: number;
}

/** The refusals of one minute (since the epoch) that have one code and address, and were kept in quarantine or not. */
interface RefusalCount extends Pick<RequestRecord, 'quarantined' | 'clientAddress'> {
  readonly minute: number;
  readonly code: string;
  count: number;
}

export type Arrivals = ReturnType<typeof createArrivals>;

/**
 * What has come to the webhook since the start of this process, for /healthz. Times are milliseconds since the epoch,
 * null: not yet. Memory is bounded: one entry for each kind, and for each minute of the last hour one for each code and
 * address; above MAX_REFUSAL_COUNTS of these, further addresses are not told apart. Nothing is kept of what was sent.
 */
export function createArrivals(kinds: readonly string[], clock: Clock) {
  const accepted = new Map<string, number | null>(kinds.map((kind) => [kind, null]));
  const refusals = new Map<string, RefusalCount>();
  let lookedEscapedAt = Number.NEGATIVE_INFINITY;
  let previousUsedAt: number | null = null;
  const thisMinute = (): number => Math.floor(clock.now() / MINUTE_MS);

  /** If the clock was set back, minutes that are still to come are not of the last hour. */
  function lastHour(): RefusalCount[] {
    const last = thisMinute();
    return [...refusals.values()].filter(({ minute }) => minute <= last && minute > last - HOUR_MINUTES);
  }

  /**
   * Each refusal may mean that an event of Apono's is missing. A wrong method does not (Apono sends POST or PUT), nor
   * does another path: those requests come from scanners and from people with a browser.
   */
  function countRefusal({ route, code, clientAddress, quarantined }: RequestRecord): void {
    if (route !== 'webhook' || code === null || code === 'method_not_allowed') return;
    const minute = thisMinute();
    const recent = new Set(lastHour());
    for (const [key, entry] of refusals) if (!recent.has(entry)) refusals.delete(key);
    const address = refusals.size < MAX_REFUSAL_COUNTS ? clientAddress : null;
    const key = JSON.stringify([minute, code, address, quarantined]);
    const known = refusals.get(key);
    if (known === undefined) refusals.set(key, { minute, code, clientAddress: address, quarantined, count: 1 });
    else known.count += 1;
  }

  function accept(events: RequestRecord['events']): void {
    for (const { kind } of events) accepted.set(kind, clock.now());
  }

  return {
    accept,
    /** Called once for each request, when its answer is ready. */
    count(record: RequestRecord): void {
      accept(record.events);
      if (record.authentication === 'previous') previousUsedAt = clock.now();
      if (record.looksEscaped) lookedEscapedAt = clock.now();
      countRefusal(record);
    },
    /** When an event of each kind was last accepted, also as a duplicate. */
    lastAccepted: (): Readonly<Record<string, number | null>> => Object.fromEntries(accepted),
    previousSecretLastUsedAt: (): number | null => previousUsedAt,
    /** Whether within the last day an event was accepted whose text looks as if a template had escaped it. */
    looksEscaped: (): boolean => clock.now() - lookedEscapedAt < DAY_MS,
    /** Refused requests of the last hour by code, the most frequent first. `lost`: only those not kept in quarantine. */
    refused(which: 'all' | 'lost'): Readonly<Record<string, number>> {
      const total = new Map<string, number>();
      for (const { code, count, quarantined } of lastHour()) {
        if (which === 'all' || !quarantined) total.set(code, (total.get(code) ?? 0) + count);
      }
      return Object.fromEntries([...total].toSorted(([, a], [, b]) => b - a));
    },
    /** The same by code and address, for the admin port alone. */
    refusals(): readonly Refusal[] {
      const bySource = new Map<string, Refusal>();
      for (const { code, clientAddress, minute, count } of lastHour()) {
        const key = `${code} ${clientAddress}`;
        const before = bySource.get(key)?.count ?? 0;
        bySource.set(key, { code, clientAddress, count: before + count, lastAt: minute * MINUTE_MS });
      }
      return [...bySource.values()].toSorted((a, b) => b.count - a.count);
    },
  };
}
