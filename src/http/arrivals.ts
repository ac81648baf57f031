import type { Clock } from '../ground/clock.ts';
import type { RequestRecord } from './exchange.ts';

/** What has come to the webhook since the start of this process, for /healthz. */
export interface Arrivals {
  /** Called once for each request, when its answer is ready. */
  count(record: RequestRecord): void;
  /** When an event of each kind was last accepted, also as a duplicate; milliseconds since the epoch, null: not yet. */
  lastAccepted(): Readonly<Record<string, number | null>>;
  /** The requests that were refused within the last hour. */
  refused(): Refusals;
  /** When the previous secret last opened the door, milliseconds since the epoch; null: not since the start. */
  previousSecretLastUsedAt(): number | null;
  /** Whether within the last day an event was accepted whose text looks as if a template had escaped it. */
  looksEscaped(): boolean;
}

/** How many requests there were of each code, the most frequent first. */
interface Refusals {
  readonly byCode: Readonly<Record<string, number>>;
  /** Only those whose body was not kept in quarantine. */
  readonly lostByCode: Readonly<Record<string, number>>;
}

const MINUTE_MS = 60_000;
const HOUR_MINUTES = 60;
const DAY_MS = 86_400_000;

/** The refusals of one minute that have one code. */
interface RefusalCount {
  /** Minutes since the epoch. */
  readonly minute: number;
  readonly code: string;
  readonly isKept: boolean;
  count: number;
}

/**
 * Memory is bounded: one entry for each kind, and for each minute of the last hour one for each code, of which there is
 * a fixed number. Nothing is kept of what was sent, or of who sent it.
 */
export function createArrivals(kinds: readonly string[], clock: Clock): Arrivals {
  const accepted = new Map<string, number | null>(kinds.map((kind) => [kind, null]));
  let refusals: RefusalCount[] = [];
  let lookedEscapedAt = Number.NEGATIVE_INFINITY;
  let previousUsedAt: number | null = null;
  const thisMinute = (): number => Math.floor(clock.now() / MINUTE_MS);

  /** If the clock was set back, minutes that are still to come are not of the last hour. */
  function lastHour(): RefusalCount[] {
    const last = thisMinute();
    return refusals.filter(({ minute }) => minute <= last && minute > last - HOUR_MINUTES);
  }

  function countRefusal(code: string, isKept: boolean): void {
    const minute = thisMinute();
    refusals = lastHour();
    const known = refusals.find((entry) => entry.minute === minute && entry.code === code && entry.isKept === isKept);
    if (known === undefined) refusals.push({ minute, code, isKept, count: 1 });
    else known.count += 1;
  }

  return {
    count(record) {
      for (const { kind } of record.events) accepted.set(kind, clock.now());
      if (record.authentication === 'previous') previousUsedAt = clock.now();
      if (record.looksEscaped) lookedEscapedAt = clock.now();
      if (record.code !== null && isRefusal(record)) countRefusal(record.code, record.quarantined);
    },
    lastAccepted: () => Object.fromEntries(accepted),
    previousSecretLastUsedAt: () => previousUsedAt,
    looksEscaped: () => clock.now() - lookedEscapedAt < DAY_MS,
    refused() {
      const hour = lastHour();
      return { byCode: sumByCode(hour), lostByCode: sumByCode(hour.filter(({ isKept }) => !isKept)) };
    },
  };
}

function sumByCode(refusals: readonly RefusalCount[]): Record<string, number> {
  const total = new Map<string, number>();
  for (const { code, count } of refusals) total.set(code, (total.get(code) ?? 0) + count);
  return Object.fromEntries([...total].toSorted(([, a], [, b]) => b - a));
}

/**
 * Each of these may mean that an event of Apono's is missing. A wrong method does not (Apono sends POST or PUT), nor
 * does another path: those requests come from scanners and from people with a browser.
 */
function isRefusal({ route, code }: RequestRecord): boolean {
  return route === 'webhook' && code !== 'method_not_allowed';
}
