import type { EngineState } from '../engine.ts';
import { countRecords } from '../reads.ts';
import type { Session } from './database.ts';

/** A standby, or a server that was made read-only, as Azure does with one that runs out of storage. */
export async function isReadOnly(session: Session): Promise<boolean> {
  const [found] = await session.query<{ read_only: boolean }>(
    `SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean AS read_only`,
  );
  return found?.read_only === true;
}

/** What a record takes beside its body: row, indexes, dead letters, and the versions that wait for a vacuum. */
export const RECORD_BYTES = 512;
const IDENTITY_BYTES = 200;

/** The server's own estimate. */
const IDENTITIES = `SELECT greatest(reltuples, 0)::bigint AS known FROM pg_class WHERE oid = 'events'::regclass`;

/** Counts, ages and sizes, those of the open transaction included; with an allowance for each record (ADR 17). */
export async function readState(session: Session): Promise<EngineState> {
  const counts = await countRecords(session.query);
  const [{ known = 0 } = {}] = await session.query<{ known?: number }>(IDENTITIES);
  const dataBytes = counts.reduce(
    (sum, { count, bytes }) => sum + bytes + count * RECORD_BYTES,
    known * IDENTITY_BYTES,
  );
  const refuses = (await isReadOnly(session)) ? 'the database is read-only: a standby, or set so' : null;
  return { counts, dataBytes, logBytes: 0, refuses };
}
