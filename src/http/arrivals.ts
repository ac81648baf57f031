import type { Clock } from '../ground/clock.ts';
import type { RequestRecord } from './exchange.ts';

/** What has come to the webhook since the start of this process, for /healthz. */
export interface Arrivals {
  /** Called once for each request, when its answer is ready. */
  count(record: RequestRecord): void;
  /** When an event of each kind was last accepted, a duplicate too; milliseconds since the epoch, null: not yet. */
  lastAccepted(): Readonly<Record<string, number | null>>;
  /** The requests that were refused within the last hour. */
  refused(): Refusals;
  /** Whether within the last day an event was accepted whose text looks as if a template had escaped it. */
  looksEscaped(): boolean;
}

/** How many requests there were of each code, the most frequent first. */
export interface Refusals {
  readonly byCode: Readonly<Record<string, number>>;
  /** Those of them whose body was not kept in quarantine. */
  readonly lostByCode: Readonly<Record<string, number>>;
}

const DAY_MS = 86_400_000;

const MINUTE_MS = 60_000;
const MINUTES = 60;

interface Minute {
  /** Minutes since the epoch. */
  readonly minute: number;
  readonly byCode: Map<string, number>;
  readonly lostByCode: Map<string, number>;
}

/**
 * Memory is bounded: one entry for each kind, and for each minute of the last hour one for each code, of which there is
 * a fixed number. Nothing is kept of what was sent or of who sent it.
 */
export function createArrivals(kinds: readonly string[], clock: Clock): Arrivals {
  const accepted = new Map<string, number | null>(kinds.map((kind) => [kind, null]));
  const ring: (Minute | undefined)[] = Array.from({ length: MINUTES });
  let lookedEscapedAt = Number.NEGATIVE_INFINITY;
  const thisMinute = (): number => Math.floor(clock.now() / MINUTE_MS);

  function countRefusal(code: string, isKept: boolean): void {
    const minute = thisMinute();
    const place = minute % MINUTES;
    const known = ring[place];
    const current = known?.minute === minute ? known : { minute, byCode: new Map(), lostByCode: new Map() };
    ring[place] = current;
    add(current.byCode, code, 1);
    if (!isKept) add(current.lostByCode, code, 1);
  }

  return {
    count(record) {
      for (const { kind } of record.events) accepted.set(kind, clock.now());
      if (record.looksEscaped) lookedEscapedAt = clock.now();
      if (isRefusal(record) && record.code !== null) countRefusal(record.code, record.quarantined);
    },
    lastAccepted: () => Object.fromEntries(accepted),
    looksEscaped: () => clock.now() - lookedEscapedAt < DAY_MS,
    refused() {
      const last = thisMinute();
      // After the clock was set back, minutes that are still to come are not of the last hour.
      const hour = ring.flatMap((entry) =>
        entry && entry.minute <= last && entry.minute > last - MINUTES ? [entry] : [],
      );
      return {
        byCode: sum(hour.map(({ byCode }) => byCode)),
        lostByCode: sum(hour.map(({ lostByCode }) => lostByCode)),
      };
    },
  };
}

function add(counts: Map<string, number>, code: string, count: number): void {
  counts.set(code, (counts.get(code) ?? 0) + count);
}

function sum(minutes: readonly ReadonlyMap<string, number>[]): Record<string, number> {
  const total = new Map<string, number>();
  for (const minute of minutes) for (const [code, count] of minute) add(total, code, count);
  return Object.fromEntries([...total].toSorted(([, a], [, b]) => b - a));
}

/**
 * An event of Apono's may be missing behind each of these. It is not behind a wrong method (Apono sends POST or PUT) or
 * another path, which is where scanners and people with a browser end.
 */
function isRefusal({ route, code }: RequestRecord): boolean {
  return route === 'webhook' && code !== null && code !== 'method_not_allowed';
}
