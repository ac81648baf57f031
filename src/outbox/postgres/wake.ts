import type { Session } from './database.ts';
import { notification } from './listen.ts';

/** Tells the other replicas that something waits: they help where one has more to send than it can. */
export interface Waker {
  /** In the transaction that stores it, so that nobody is woken too early. `byKind`: bytes. */
  tell(session: Session, byKind: ReadonlyMap<string, number>, options?: { readonly always: boolean }): Promise<void>;
}

/**
 * Who stores an event also delivers it, so that others need not hear of each: once a second is enough, and the server
 * commits transactions with notifications one after the other.
 */
const PACE_MS = 1_000;

export function createWaker(channel: string, self: string): Waker {
  const toldAt = new Map<string, number>();
  return {
    async tell(session, byKind, { always } = { always: false }) {
      const now = performance.now();
      const due = [...byKind].filter(
        ([kind]) => always || now - (toldAt.get(kind) ?? Number.NEGATIVE_INFINITY) >= PACE_MS,
      );
      if (due.length === 0) return;
      for (const [kind] of due) toldAt.set(kind, now);
      await session.run('SELECT pg_notify($1, m) FROM unnest($2::text[]) AS m', [
        channel,
        due.map(([kind, bytes]) => notification({ from: self, kind, bytes })),
      ]);
    },
  };
}
