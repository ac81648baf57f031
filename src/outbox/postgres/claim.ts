import { randomInt } from 'node:crypto';
import type { Clock } from '../../ground/clock.ts';
import type { RowRange } from '../../ground/event.ts';
import { CLOSE_LIMIT_MS, within } from '../door.ts';
import type { ClaimedRows, ClaimRequest } from '../engine.ts';
import { type FoundRows, formatRanges, takeEvents } from '../rows.ts';
import type { Database, Query } from './database.ts';
import { AgainError } from './errors.ts';

type Candidate = FoundRows & Pick<ClaimedRows, 'eventId' | 'receivedAt'> & { seq: number; pending: RowRange[] };

/** Three attempts before the lease is over. */
const RENEWALS_PER_LEASE = 4;
/** An outage makes one with each attempt; only the first can have been committed. */
const MAX_DOUBTFUL = 100;

/** From the largest range of crypto.randomInt; counting on from there stays far below 2^53. */
export const randomId = (): number => randomInt(1, 2 ** 48 - 1);

const IS_FREE = `(holder IS NULL
  OR holder <> ALL (ARRAY(SELECT id FROM replicas WHERE alive_until > clock_timestamp())))`;

/**
 * The oldest events that nobody holds, locked, and as many of them as may fit by their average row. `$1`: kind, `$2`:
 * events, `$3`: ids to pass over, `$4`: the only id or null, `$5`: bytes.
 */
const CANDIDATES = `
  WITH free AS MATERIALIZED (
    SELECT seq, event_id, received_at, pending, ceil(mapped_bytes::numeric * pending_rows / row_count) AS cost FROM events
    WHERE kind = $1 AND pending_rows > 0 AND event_id <> ALL ($3::text[]) AND ($4::text IS NULL OR event_id = $4)
      AND ${IS_FREE}
    ORDER BY received_at, seq LIMIT $2 FOR UPDATE SKIP LOCKED
  ), summed AS (
    SELECT *, sum(cost) OVER (ORDER BY received_at, seq) - cost AS before FROM free
  )
  SELECT seq, event_id AS "eventId", received_at AS "receivedAt", pending::json, shared, own
  FROM summed LEFT JOIN bodies USING (seq) WHERE before < greatest($5::bigint, 1) ORDER BY received_at, seq`;

/** Says that a replica lives, unless that was said a short while ago. `$1`: its id, `$2`: the lease. */
export const RENEW = `
  INSERT INTO replicas (id, alive_until) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
  ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until
    WHERE replicas.alive_until < excluded.alive_until - $2 * interval '0.2 milliseconds'`;

/** Ends claims of the holder `$1`: those of the tokens from `$2` to below `$3`. */
const GIVE_BACK = `
  UPDATE events SET holder = NULL, token = NULL, claimed = NULL
  WHERE pending_rows > 0 AND holder = $1 AND token >= $2 AND token < $3`;

/** This process among the replicas: from its first claim on a row in `replicas`, which is renewed (ADR 17). */
export function createHolder(database: Database, { leaseMs, clock }: { leaseMs: number; clock: Clock }) {
  const id = randomId();
  let isHere = false;
  let cancel = () => {};
  // Nobody knows whether these claims were committed, because their answer was lost. They are this holder's as long as it
  // lives, so that it must give them back.
  let doubtful: { readonly from: number; readonly to: number }[] = [];

  function renewLater(): void {
    cancel = clock.setTimer(leaseMs / RENEWALS_PER_LEASE, () => {
      // A failure needs no log line: whatever else is asked of the database fails as well, and the next claim renews.
      database
        .transaction('write', (query) => query(RENEW, [id, leaseMs]))
        .catch(() => undefined)
        .finally(() => isHere && renewLater());
    });
  }

  async function claim(request: ClaimRequest): Promise<ClaimedRows[]> {
    if (!isHere) renewLater();
    isHere = true;
    // A random place to count from: that an event gets a token that it had before has a chance of 1 in 2^48.
    const from = randomId();
    const before = doubtful;
    try {
      const claimed = await database.transaction('write', async (query) => {
        for (const tokens of before) await query(GIVE_BACK, [id, tokens.from, tokens.to]);
        await query(RENEW, [id, leaseMs]);
        return claimRows(query, request, id, from);
      });
      doubtful = doubtful.filter((tokens) => !before.includes(tokens));
      return claimed;
    } catch (error) {
      doubtful = [...doubtful, { from, to: from + request.maxEvents }].slice(0, MAX_DOUBTFUL);
      throw error;
    }
  }

  /** Ends the renewals and gives the claims back. Without the database the lease ends by itself. */
  async function leave(): Promise<void> {
    cancel();
    if (!isHere) return;
    isHere = false;
    const left = database.transaction('write', async (query) => {
      await query(GIVE_BACK, [id, 0, Number.MAX_SAFE_INTEGER]);
      await query('DELETE FROM replicas WHERE id = $1', [id]);
    });
    await within(left, CLOSE_LIMIT_MS);
  }

  return { claim, leave };
}

/** The tokens count on from `firstToken`. */
export async function claimRows(query: Query, request: ClaimRequest, holder: number, firstToken: number) {
  const { kind, maxEvents, maxBytes, except, only } = request;
  const params = [kind, maxEvents, except, only?.eventId ?? null, maxBytes];
  const taken = takeEvents(await query<Candidate>(CANDIDATES, params), request);
  const claimed = taken.map((event, index) => ({ ...event, token: firstToken + index }));
  if (claimed.length === 0) return [];
  // Looks again who holds them: a replica that made its first claim meanwhile is not among those that were known to live.
  const mine = await query<{ token: number }>(
    `UPDATE events e SET holder = $1, token = c.token, claimed = c.claimed
     FROM json_to_recordset($2::json) AS c (seq bigint, token bigint, claimed text)
     WHERE e.seq = c.seq AND ${IS_FREE} RETURNING c.token`,
    [holder, JSON.stringify(claimed.map(({ seq, token, ranges }) => ({ seq, token, claimed: formatRanges(ranges) })))],
  );
  if (mine.length === 0) throw new AgainError('others have claimed what was found');
  const tokens = new Set(mine.map(({ token }) => token));
  return claimed.filter(({ token }) => tokens.has(token)).map(({ seq: _, ...each }) => each);
}
