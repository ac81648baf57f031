import type { Session } from './database.ts';

type State = 'waiting' | 'dead' | 'quarantined' | 'event' | 'identity';

/** What a record takes beside its body: row, indexes, dead letters, and the versions that wait for a vacuum. */
const RECORD_BYTES = 512;
const IDENTITY_BYTES = 200;

/** An expression: what is stored, in bytes. The files of the database are its administrator's to watch. */
export const USED_BYTES = `(SELECT coalesce(sum(CASE state WHEN 'identity' THEN n * ${IDENTITY_BYTES}
  WHEN 'event' THEN bytes + n * ${RECORD_BYTES} WHEN 'quarantined' THEN bytes + n * ${RECORD_BYTES} ELSE 0 END), 0)::bigint
  FROM tallies)`;

/** The counts of an event before or after a change. */
export interface Counted {
  readonly kind: string;
  readonly pendingRows: number;
  readonly deadRows: number;
  readonly bodyBytes: number;
}

/** Adds up what a transaction changes, and writes it down with one statement at its end. */
export class Tally {
  readonly #changes = new Map<string, { state: State; kind: string; n: number; bytes: number }>();

  add(state: State, kind: string, n: number, bytes: number): void {
    const key = `${state} ${kind}`;
    const change = this.#changes.get(key) ?? { state, kind, n: 0, bytes: 0 };
    change.n += n;
    change.bytes += bytes;
    this.#changes.set(key, change);
  }

  /** Null: it is not there (any more). */
  event(before: Counted | null, after: Counted | null): void {
    for (const [counted, sign] of [[before, -1] as const, [after, 1] as const]) {
      if (counted === null) continue;
      const { kind, pendingRows, deadRows, bodyBytes } = counted;
      if (pendingRows > 0) this.add('waiting', kind, sign, sign * bodyBytes);
      if (deadRows > 0) this.add('dead', kind, sign, sign * bodyBytes);
      this.add('event', '', sign, sign * bodyBytes);
    }
  }

  async write(session: Session): Promise<void> {
    const changes = [...this.#changes.values()].filter(({ n, bytes }) => n !== 0 || bytes !== 0);
    if (changes.length === 0) return;
    await session.run(
      `INSERT INTO tallies (state, kind, n, bytes)
       SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])`,
      [
        changes.map(({ state }) => state),
        changes.map(({ kind }) => kind),
        changes.map(({ n }) => n),
        changes.map(({ bytes }) => bytes),
      ],
    );
  }
}

/** Folds all changes into one a state and kind. Who sums them meanwhile sees either the ones or the other. */
export async function foldTallies(session: Session): Promise<void> {
  const [lock] = await session.query<{ got: boolean }>(
    `SELECT pg_try_advisory_xact_lock(hashtext('apono-sentinel tallies ' || current_schema())) AS got`,
  );
  if (lock?.got !== true) return;
  await session.run(
    `WITH gone AS (DELETE FROM tallies RETURNING *)
     INSERT INTO tallies (state, kind, n, bytes)
     SELECT state, kind, sum(n), sum(bytes) FROM gone GROUP BY state, kind HAVING sum(n) <> 0 OR sum(bytes) <> 0`,
  );
}
