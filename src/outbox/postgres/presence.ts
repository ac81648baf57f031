import type { Clock } from '../../ground/clock.ts';
import type { Holder } from './claim.ts';
import type { Database } from './database.ts';
import type { Waker } from './wake.ts';

/**
 * This process among the replicas: a row that says until when its claims hold. It is renewed on a timer and with each
 * claim. A process that stands still for longer than the lease loses no more than what others have taken meanwhile: a
 * claim that nobody took goes on.
 */
export interface Presence {
  /** Makes the row at the first call: who never claims is no replica. */
  enter(): Promise<Holder>;
  /** Ends the renewals. */
  stop(): void;
  /** Gives the claims back, and tells the others. Without the database the lease ends by itself. */
  leave(): Promise<void>;
}

/** Of the lease: three attempts before it is over. */
const RENEWALS_PER_LEASE = 4;

export function createPresence(parts: {
  readonly database: Database;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly waker: Waker;
}): Presence {
  const { database, clock, leaseMs, waker } = parts;
  let entered: Promise<Holder> | null = null;
  let stopped = false;
  let cancel = () => {};

  async function begin(): Promise<Holder> {
    const id = await database.transaction('write', async (session) => {
      const [row] = await session.query<{ id: number }>(
        `INSERT INTO replicas (alive_until) VALUES (clock_timestamp() + $1 * interval '1 millisecond') RETURNING id`,
        [leaseMs],
      );
      if (row === undefined) throw new Error('The database gave no id');
      return row.id;
    });
    schedule(id);
    return { id, leaseMs };
  }

  function schedule(id: number): void {
    if (stopped) return;
    cancel = clock.setTimer(leaseMs / RENEWALS_PER_LEASE, () => {
      // Whoever needs the database learns by itself that it is away; the next claim renews the lease as well.
      database
        .transaction('write', (session) => session.run('SELECT renew_lease($1, $2)', [id, leaseMs]))
        .catch(() => undefined)
        .finally(() => schedule(id));
    });
  }

  async function giveBack(id: number): Promise<void> {
    await database.transaction('write', async (session) => {
      const released = await session.query<{ kind: string }>(
        `UPDATE events SET holder = NULL, token = NULL, claimed = NULL WHERE holder = $1 AND pending_rows > 0
         RETURNING kind`,
        [id],
      );
      await session.run('DELETE FROM replicas WHERE id = $1', [id]);
      await waker.tell(session, new Map(released.map(({ kind }) => [kind, 1])), { always: true });
    });
  }

  return {
    enter() {
      entered ??= begin().catch((error: unknown) => {
        entered = null;
        throw error;
      });
      return entered;
    },
    stop() {
      stopped = true;
      cancel();
    },
    async leave() {
      const holder = await entered?.catch(() => null);
      if (holder != null) await giveBack(holder.id).catch(() => undefined);
    },
  };
}
