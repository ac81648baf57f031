import { MoveError, type MoveSource } from '../move.ts';
import type { EventMeta, RowRange } from '../port.ts';
import type { SalvagedRecord } from '../salvaged.ts';
import type { Session } from './database.ts';
import { lettersOf } from './records.ts';

type Read = <T>(work: (session: Session) => Promise<T>) => Promise<T>;

const MAX_BATCH_RECORDS = 200;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

interface EventRow {
  readonly seq: number;
  readonly event_id: string;
  readonly kind: string;
  readonly received_at: number;
  readonly body_form: EventMeta['bodyForm'];
  readonly feed: Buffer | null;
  readonly row_count: number;
  readonly mapped_bytes: number;
  readonly pending: string;
  readonly body: Buffer;
  readonly stored_at: number;
}

interface QuarantineRow {
  readonly seq: number;
  readonly quarantine_id: string;
  readonly stored_at: number;
  readonly received_at: number;
  readonly feed: Buffer | null;
  readonly kind: string | null;
  readonly charset: string | null;
  readonly code: string;
  readonly reason: Buffer;
  readonly body: Buffer;
}

/** Everything, in transactions of their own. Rejects with a MoveError while a service delivers from it. */
export async function* postgresRecords(read: Read): ReturnType<MoveSource['records']> {
  await read(refuseWhileUsed);
  yield* bySeq(read, 'events', readEvents);
  yield* bySeq(read, 'quarantine', readQuarantined);
  yield* identities(read);
  await read(refuseWhileUsed);
}

/** What a service delivers meanwhile would be delivered again by the outbox that it is moved to. */
async function refuseWhileUsed(session: Session): Promise<void> {
  const [found] = await session.query<{ alive: number }>(
    'SELECT count(*) AS alive FROM replicas WHERE alive_until > clock_timestamp()',
  );
  if (found === undefined || found.alive === 0) return;
  const message = `${found.alive} services use the database, or did a minute ago. Nothing was taken away from it`;
  throw new MoveError('migrate_in_use', `${message}: stop them all, wait for a minute, then run this again.`);
}

async function* bySeq(
  read: Read,
  table: 'events' | 'quarantine',
  records: (session: Session, seqs: readonly number[]) => Promise<SalvagedRecord[]>,
): AsyncGenerator<SalvagedRecord[]> {
  for (let after = 0; ; ) {
    const found = await read((session) =>
      session.query<{ seq: number; bytes: number }>(
        `SELECT seq, octet_length(body) AS bytes FROM ${table} WHERE seq > $1 ORDER BY seq LIMIT ${MAX_BATCH_RECORDS}`,
        [after],
      ),
    );
    const seqs = fitting(found);
    if (seqs.length === 0) return;
    yield await read((session) => records(session, seqs));
    after = seqs.at(-1) ?? after;
  }
}

/** As many as make a batch, and one at least. */
function fitting(found: readonly { readonly seq: number; readonly bytes: number }[]): number[] {
  let bytes = 0;
  const end = found.findIndex((record, index) => {
    bytes += record.bytes;
    return index > 0 && bytes > MAX_BATCH_BYTES;
  });
  return found.slice(0, end === -1 ? found.length : end).map(({ seq }) => seq);
}

async function readEvents(session: Session, seqs: readonly number[]): Promise<SalvagedRecord[]> {
  const rows = await session.query<EventRow>(
    `SELECT e.seq, e.event_id, e.kind, e.received_at, e.body_form, e.feed, e.row_count, e.mapped_bytes, e.pending, e.body,
       i.stored_at FROM events e JOIN identities i USING (event_id) WHERE e.seq = ANY ($1::bigint[]) ORDER BY e.seq`,
    [seqs],
  );
  const records: SalvagedRecord[] = [];
  for (const row of rows) {
    const meta = { receivedAt: row.received_at, bodyForm: row.body_form, feed: row.feed?.toString() ?? null };
    records.push({
      type: 'event',
      entry: {
        type: 'event',
        eventId: row.event_id,
        kind: row.kind,
        body: row.body.toString(),
        meta,
        rowCount: row.row_count,
        mappedBytes: row.mapped_bytes,
      },
      storedAt: row.stored_at,
      pending: JSON.parse(row.pending) as readonly RowRange[],
      deadLetters: await lettersOf(session, row.seq),
    });
  }
  return records;
}

async function readQuarantined(session: Session, seqs: readonly number[]): Promise<SalvagedRecord[]> {
  const rows = await session.query<QuarantineRow>(
    'SELECT * FROM quarantine WHERE seq = ANY ($1::bigint[]) ORDER BY seq',
    [seqs],
  );
  return rows.map((row) => ({
    type: 'quarantine',
    entry: {
      type: 'quarantine',
      quarantineId: row.quarantine_id,
      body: new Uint8Array(row.body),
      receivedAt: row.received_at,
      feed: row.feed?.toString() ?? null,
      kind: row.kind,
      charset: row.charset ?? null,
      code: row.code,
      reason: row.reason.toString(),
    },
    storedAt: row.stored_at,
  }));
}

async function* identities(read: Read): AsyncGenerator<SalvagedRecord[]> {
  for (let after = ''; ; ) {
    const rows = await read((session) =>
      session.query<{ event_id: string; stored_at: number; delivered_at: number }>(
        `SELECT event_id, stored_at, delivered_at FROM identities WHERE event_id > $1 AND delivered_at IS NOT NULL
         ORDER BY event_id LIMIT ${MAX_BATCH_RECORDS}`,
        [after],
      ),
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows.map((row) => ({
      type: 'identity',
      eventId: row.event_id,
      storedAt: row.stored_at,
      deliveredAt: row.delivered_at,
    }));
    after = last.event_id;
  }
}
