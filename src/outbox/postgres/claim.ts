import { randomInt } from 'node:crypto';
import type { ClaimedEvent, ClaimKey, ClaimRequest, EventMeta, RowRange } from '../port.ts';
import type { Database, Session } from './database.ts';

interface EventRow {
  readonly event_id: string;
  readonly received_at: number;
  readonly body_form: EventMeta['bodyForm'];
  readonly feed: Buffer | null;
  readonly row_count: number;
  readonly mapped_bytes: number;
  readonly pending: string;
  readonly token: number;
}

interface BodyRow {
  /** Counted from 1. */
  readonly n: number;
  /** The body, unless it holds U+0000, ... */
  readonly text: string | null;
  /** ... for then it comes as bytes, which are twice as long on their way. */
  readonly bytes: Buffer | null;
}

export interface Holder {
  /** Its row in `replicas`. */
  readonly id: number;
  readonly leaseMs: number;
}

/** The largest range of crypto.randomInt; counting on from there stays far below 2^53. */
const FIRST_TOKENS = 2 ** 48 - 1;

/** Claims events for one holder, in transactions of its own. */
export function createClaim(database: Database): (request: ClaimRequest, holder: Holder) => Promise<ClaimedEvent[]> {
  // Claims of which nobody knows whether they were committed: their answer was lost. They are this holder's as long as it
  // lives, so that it must give them back.
  let doubtful: { readonly token: number; readonly maxEvents: number }[] = [];

  return async (request, holder) => {
    // A random place to count from: a token that is given anew for the same event has a chance of 1 in 2^48.
    const token = randomInt(1, FIRST_TOKENS);
    const before = doubtful;
    try {
      const claimed = await database.transaction('write', async (session) => {
        for (const claim of before) await giveBack(session, holder, claim);
        return claimEvents(session, request, holder, token);
      });
      doubtful = doubtful.filter((claim) => !before.includes(claim));
      return claimed;
    } catch (error) {
      doubtful = [...doubtful, { token, maxEvents: request.maxEvents }].slice(0, MAX_DOUBTFUL);
      throw error;
    }
  };
}

/** An outage makes one with each attempt; only the first can have been committed. */
const MAX_DOUBTFUL = 100;

async function giveBack(
  session: Session,
  { id }: Holder,
  { token, maxEvents }: { readonly token: number; readonly maxEvents: number },
): Promise<void> {
  await session.run(
    `UPDATE events SET holder = NULL, token = NULL, claimed = NULL
     WHERE holder = $1 AND token > $2 AND token <= $3 AND pending_rows > 0`,
    [id, token, token + maxEvents],
  );
}

/** Takes events that nobody holds, or whose holder is gone, and says in the same transaction that this one lives. */
async function claimEvents(
  session: Session,
  { kind, maxEvents, maxMappedBytes }: ClaimRequest,
  { id, leaseMs }: Holder,
  token: number,
): Promise<ClaimedEvent[]> {
  const rows = await session.query<EventRow>(
    `SELECT event_id, received_at, body_form, feed, row_count, mapped_bytes, pending, token
     FROM claim_events($1, $2, $3, $4, $5, $6) ORDER BY received_at, seq`,
    [kind, id, leaseMs, token, maxEvents, Math.min(maxMappedBytes, Number.MAX_SAFE_INTEGER)],
  );
  return rows.map((row) => ({
    eventId: row.event_id,
    kind,
    token: row.token,
    meta: { receivedAt: row.received_at, bodyForm: row.body_form, feed: row.feed?.toString() ?? null },
    rowCount: row.row_count,
    mappedBytes: row.mapped_bytes,
    pending: JSON.parse(row.pending) as readonly RowRange[],
  }));
}

export async function readBodies(session: Session, claims: readonly ClaimKey[]): Promise<(string | null)[]> {
  const rows = await session.query<BodyRow>(
    `SELECT n, CASE WHEN is_text THEN convert_from(body, 'UTF8') END AS text,
       CASE WHEN NOT is_text THEN body END AS bytes
     FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS c (event_id, token, n) JOIN events e USING (event_id, token),
       LATERAL (SELECT getdatabaseencoding() = 'UTF8' AND position(decode('00', 'hex') IN body) = 0 AS is_text) AS how`,
    // No text of the database holds U+0000, and no token is a fraction: there is no such claim.
    [
      claims.map(({ eventId }) => (eventId.includes('\0') ? null : eventId)),
      claims.map(({ token }) => (Number.isSafeInteger(token) ? token : null)),
    ],
  );
  const bodies = new Map(rows.map(({ n, text, bytes }) => [n, text ?? bytes?.toString() ?? '']));
  return claims.map((_, index) => bodies.get(index + 1) ?? null);
}
