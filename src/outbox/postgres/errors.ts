import { type OutboxStartCode, OutboxStartError } from '../start-error.ts';

/** SQLSTATEs of https://www.postgresql.org/docs/current/errcodes-appendix.html that mean something of their own here. */
const DISK_FULL = ['53100'];
const READ_ONLY = ['25006'];
/** serialization_failure, deadlock_detected: the same transaction again succeeds. */
const AGAIN = ['40001', '40P01'];
/** admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, idle_session_timeout. */
const GOING_DOWN = ['57P01', '57P02', '57P03', '57P04', '57P05', '25P03'];
const SIGN_IN = ['28000', '28P01', '42501'];

/** The SQLSTATE, or null when the error did not come from the server. */
export function sqlState(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null;
  return /^[0-9A-Z]{5}$/.test(error.code) && 'severity' in error ? error.code : null;
}

function isOneOf(error: unknown, states: readonly string[]): boolean {
  const state = sqlState(error);
  return state !== null && states.includes(state);
}

export const isDiskFull = (error: unknown): boolean => isOneOf(error, DISK_FULL);
export const isWorthAnotherTry = (error: unknown): boolean => isOneOf(error, AGAIN);
export const isMissingObject = (error: unknown): boolean => isOneOf(error, ['42P01', '3F000']);

/** The connection is of no use any more: nothing of the server's came, or it is going down, or became a standby. */
export function isConnectionGone(error: unknown): boolean {
  const state = sqlState(error);
  return state === null || state.startsWith('08') || isOneOf(error, [...GOING_DOWN, ...READ_ONLY]);
}

/** For logs and answers. The server quotes values in messages of classes 22 and 23 only: those stay untold. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const state = sqlState(error);
  if (state === null) {
    // What is left of several addresses that were tried has no message of its own.
    if (error instanceof AggregateError) return error.errors.map(describe).join('; ');
    return error.message;
  }
  if (isOneOf(error, READ_ONLY)) return `the database is read-only: a standby, or set so (SQLSTATE ${state})`;
  if (state.startsWith('22') || state.startsWith('23')) return `the database refused a value (SQLSTATE ${state})`;
  return `${error.message} (SQLSTATE ${state})`;
}

const WHAT_TO_DO: Partial<Record<OutboxStartCode, string>> = {
  outbox_permission:
    'The user of OUTBOX_URL must be able to connect, and to create a schema or own the schema of the service: check ' +
    'its password, pg_hba.conf and grants',
  outbox_disk_full: 'Free some space on the server, then start again; nothing was lost',
  outbox_newer_version: 'Start the version that wrote it, or a later one',
  outbox_unsupported: 'Change that setting of the server, then start again',
};

function startCode(error: unknown): OutboxStartCode {
  if (isDiskFull(error)) return 'outbox_disk_full';
  if (isOneOf(error, SIGN_IN)) return 'outbox_permission';
  return 'outbox_cannot_open';
}

/** Any error of opening as an OutboxStartError that names `place` and says what to do. */
export function toStartError(error: unknown, place: string): OutboxStartError {
  if (error instanceof OutboxStartError) return error;
  const code = startCode(error);
  const next = WHAT_TO_DO[code] ?? 'Check OUTBOX_URL and the server, then start again; nothing was changed';
  return new OutboxStartError(code, `The outbox at ${place} cannot be opened: ${describe(error)}. ${next}.`, {
    cause: error,
  });
}

export function startError(code: OutboxStartCode, problem: string): OutboxStartError {
  return new OutboxStartError(code, `${problem}. ${WHAT_TO_DO[code] ?? 'Check the server'}.`);
}
