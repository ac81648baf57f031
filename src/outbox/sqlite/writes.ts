import { randomInt } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { RowRange } from '../../ground/event.ts';
import type { ClaimedRows, ClaimRequest, Engine, Put } from '../engine.ts';
import type { Settlement, SettlementOutcome, StoredEntry } from '../port.ts';
import type { StoredRecord } from '../records.ts';
import {
  columnsOf,
  countDead,
  countRows,
  type FoundRows,
  formatRanges,
  mergeRanges,
  parseRanges,
  settleRows,
  takeEvents,
} from '../rows.ts';
import { eachRow, getRow } from './sql.ts';

/** `store`: stores a put, in the transaction that is open. The statements are those that settling and purging use too. */
export function createWriter(db: DatabaseSync) {
  const addEvent = db.prepare(
    `INSERT INTO events (event_id, kind, stored_at, received_at, delivered_at, feed, row_count, mapped_bytes, body_bytes,
       pending, pending_rows, dead_rows)
     VALUES (:eventId, :kind, :storedAt, :receivedAt, :deliveredAt, :feed, :rowCount, :mappedBytes, :bodyBytes,
       :pending, :pendingRows, :deadRows) ON CONFLICT (event_id) DO NOTHING`,
  );
  const addBody = db.prepare('INSERT INTO bodies (seq, kind, shared, own) VALUES (?, ?, ?, ?)');
  const addLetter = db.prepare('INSERT INTO dead_letters (seq, rows, code, reason, dead_at) VALUES (?, ?, ?, ?, ?)');
  const addQuarantined = db.prepare(
    `INSERT INTO quarantine (quarantine_id, stored_at, received_at, feed, kind, charset, code, reason, body)
     VALUES (:quarantineId, :storedAt, :receivedAt, :feed, :kind, :charset, :code, :reason, :body)
     ON CONFLICT (quarantine_id) DO NOTHING`,
  );
  const removeQuarantined = db.prepare('DELETE FROM quarantine WHERE quarantine_id = ?');
  const findEvent = db.prepare('SELECT stored_at AS storedAt FROM events WHERE event_id = ?');
  const findQuarantined = db.prepare('SELECT stored_at AS storedAt FROM quarantine WHERE quarantine_id = ?');

  /** Whether the record is new. */
  function add(record: StoredRecord): boolean {
    if (record.type === 'quarantine') {
      const { type: _, ...columns } = record;
      return addQuarantined.run(columns).changes !== 0;
    }
    const { shared, own, ...columns } = columnsOf(record);
    const { changes, lastInsertRowid: seq } = addEvent.run(columns);
    if (changes === 0 || record.type === 'identity') return changes !== 0;
    addBody.run(seq, record.kind, shared, own);
    for (const { rows, code, reason, buriedAt } of record.deadLetters) {
      addLetter.run(seq, formatRanges(rows), code, reason, buriedAt);
    }
    return true;
  }

  function storeRecord(record: StoredRecord): StoredEntry {
    const [id, find] =
      record.type === 'quarantine' ? [record.quarantineId, findQuarantined] : [record.eventId, findEvent];
    const isNew = add(record);
    const { storedAt } = (isNew ? null : getRow<{ storedAt: number }>(find, id)) ?? record;
    return { id, duplicate: !isNew, firstStoredAt: storedAt };
  }

  function store({ records, resolves }: Put): readonly StoredEntry[] {
    const isGone = resolves !== null && removeQuarantined.run(resolves).changes === 0;
    return isGone ? [] : records.map(storeRecord);
  }

  return { store, addLetter, removeQuarantined };
}

type Seq = { readonly seq: number };

interface EventRow extends Seq {
  readonly rowCount: number;
  readonly pending: string;
  readonly deadRows: number;
}

type CandidateRow = FoundRows & Pick<ClaimedRows, 'eventId' | 'receivedAt'> & { readonly pending: string };

/** Walks an index, which alone passes over what is held. */
export const CANDIDATES_SQL = `
  SELECT seq FROM events WHERE kind = ? AND pending_rows > 0 ORDER BY received_at, seq`;

/**
 * Claims of events, and what becomes of them. `inTransaction` commits what its function has written, which may be called
 * again when that failed.
 */
export function createClaims(
  db: DatabaseSync,
  { addLetter, removeQuarantined }: ReturnType<typeof createWriter>,
  inTransaction: <T>(act: () => T) => T,
): Pick<Engine, 'claim' | 'settle' | 'revive' | 'purge'> {
  const candidates = db.prepare(CANDIDATES_SQL);
  const candidate = db.prepare('SELECT seq FROM events WHERE kind = ? AND pending_rows > 0 AND event_id = ?');
  const read = db.prepare(
    `SELECT event_id AS eventId, received_at AS receivedAt, pending, shared, own
     FROM events LEFT JOIN bodies USING (seq) WHERE seq = ?`,
  );
  const find = db.prepare(
    `SELECT seq, row_count AS rowCount, pending, dead_rows AS deadRows
     FROM events WHERE event_id = ? AND delivered_at IS NULL`,
  );
  const update = db.prepare(
    'UPDATE events SET pending = ?, pending_rows = ?, dead_rows = ?, delivered_at = ? WHERE seq = ?',
  );
  const forgetSize = db.prepare('UPDATE events SET mapped_bytes = 0 WHERE seq = ?');
  const removeBody = db.prepare('DELETE FROM bodies WHERE seq = ?');
  const removeLetters = db.prepare('DELETE FROM dead_letters WHERE seq = ? RETURNING rows');

  // Who holds which rows. A claim ends with the process that took it, so that it is kept in memory: it costs no synced
  // write, works when the disk is full, and is free again after a crash without any clean-up. One claim an event.
  // By `seq`. `rows` are those that are not settled yet; a claim without any is removed.
  let claims = new Map<number, { readonly token: number; readonly rows: readonly RowRange[] }>();
  // A random place to count from: that a late settlement of a process that died meets its own number again, given anew
  // for the same event, has a chance of 1 in 2^48. A counter on the disk would need a write at every start.
  let nextToken = randomInt(1, 2 ** 48 - 1);

  /** Ends claims only with the commit: one that ended before its rows were recorded would send them again. */
  function commit<T>(act: () => T): T {
    const before = claims;
    try {
      return inTransaction(() => {
        claims = new Map(before);
        return act();
      });
    } catch (error) {
      claims = before;
      throw error;
    }
  }

  /** Those that nobody holds, the oldest first. */
  function* candidatesOf({ kind, except, only }: ClaimRequest) {
    const passedOver = new Set(except);
    const found = only === null ? eachRow<Seq>(candidates, kind) : eachRow<Seq>(candidate, kind, only.eventId);
    for (const { seq } of found) {
      if (claims.has(seq)) continue;
      const event = getRow<CandidateRow>(read, seq);
      if (event === undefined || passedOver.has(event.eventId)) continue;
      yield { ...event, seq, pending: parseRanges(event.pending) };
    }
  }

  /** An event without rows that wait or are dead is delivered. */
  function change(seq: number, pending: readonly RowRange[], deadRows: number, now: number): void {
    const isDelivered = pending.length === 0 && deadRows === 0;
    update.run(formatRanges(pending), countRows(pending), deadRows, isDelivered ? now : null, seq);
    if (isDelivered) removeBody.run(seq);
  }

  /** Throws a RangeError for a wrong settlement. */
  function settleOne(settlement: Settlement, now: number): SettlementOutcome {
    const event = getRow<EventRow>(find, settlement.eventId);
    const claim = event && claims.get(event.seq);
    if (event === undefined || claim?.token !== settlement.token) return 'stale';
    const { seq, rowCount, deadRows } = event;
    const before = parseRanges(event.pending);
    const { pending, buried, held } = settleRows(settlement, { rowCount, pending: before }, claim.rows);
    for (const { rows, code, reason } of buried) addLetter.run(seq, formatRanges(rows), code, reason, now);
    // A claim that is only given back costs no write: that works on a full disk, too.
    if (countRows(pending) < countRows(before)) change(seq, pending, deadRows + countDead(buried), now);
    if (held.length === 0) claims.delete(seq);
    else claims.set(seq, { ...claim, rows: held });
    return 'applied';
  }

  function reviveOne(eventId: string): number {
    const event = getRow<EventRow>(find, eventId);
    if (event === undefined) return 0;
    const letters = [...eachRow<{ rows: string }>(removeLetters, event.seq)];
    const dead = letters.flatMap(({ rows }) => parseRanges(rows));
    if (dead.length > 0) change(event.seq, mergeRanges(parseRanges(event.pending), dead), 0, 0);
    return countRows(dead);
  }

  function purgeOne(id: string, now: number): boolean {
    const event = getRow<EventRow>(find, id);
    if (event === undefined) return removeQuarantined.run(id).changes !== 0;
    // It counts as delivered from now on, so that its identity is forgotten after DEDUP_DAYS like any other. No bytes tell.
    change(event.seq, [], 0, now);
    forgetSize.run(event.seq);
    removeLetters.run(event.seq);
    claims.delete(event.seq);
    return true;
  }

  return {
    async claim(request) {
      // All are read before any is taken: a page that cannot be read must not leave claims that nobody knows of.
      return takeEvents(candidatesOf(request), request).map(({ seq, ...rows }) => {
        const token = nextToken++;
        claims.set(seq, { token, rows: rows.ranges });
        return { ...rows, token };
      });
    },
    settle: async (settlements, now) => commit(() => settlements.map((each) => settleOne(each, now))),
    revive: async (eventIds) => commit(() => eventIds.map(reviveOne)),
    purge: async (ids, now) => commit(() => ids.map((id) => purgeOne(id, now))),
  };
}
