import type { Session } from './database.ts';
import { USED_BYTES } from './tally.ts';

/** Changes above which they are folded into one. */
const MANY_TALLIES = 500;
/** What other replicas may have stored since the last look, at most. */
const MARGIN_BYTES = 128 * 1024 * 1024;
const MAX_AGE_MS = 2_000;

/** What is known of the room that the outbox takes, so that not every put must add it up. */
export interface Usage {
  /** Whether putting so many bytes could pass the limit, as far as is known: then look. */
  isNear(newBytes: number, maxBytes: number): boolean;
  saw(usedBytes: number, tallies: number): void;
  /** Bytes that this replica stored since. */
  grew(bytes: number): void;
  folded(): void;
  /** Many changes have come together: fold them. */
  readonly isScattered: boolean;
}

export function createUsage(): Usage {
  let used: number | null = null;
  let seenAt = 0;
  let tallies = 0;
  return {
    isNear(newBytes, maxBytes) {
      const isStale = performance.now() - seenAt > MAX_AGE_MS;
      return used === null || isStale || used + newBytes + MARGIN_BYTES > maxBytes;
    },
    saw(usedBytes, count) {
      used = usedBytes;
      seenAt = performance.now();
      tallies = count;
    },
    grew(bytes) {
      used = used === null ? null : used + bytes;
      tallies += 3;
    },
    folded() {
      tallies = 0;
    },
    get isScattered() {
      return tallies > MANY_TALLIES;
    },
  };
}

/** The changes of the open transaction included. */
export async function readUsage(session: Session, usage: Usage): Promise<number> {
  const [row] = await session.query<{ used: number; tallies: number }>(
    `SELECT ${USED_BYTES} AS used, (SELECT count(*) FROM tallies) AS tallies`,
  );
  if (row === undefined) throw new Error('The count of the used bytes is missing');
  usage.saw(row.used, row.tallies);
  return row.used;
}
