import { type OutboxStartCode, OutboxStartError } from '../start-error.ts';
import { fixFor } from './fixes.ts';
import { sqlState } from './sql-state.ts';

/** SQLSTATEs of https://www.postgresql.org/docs/current/errcodes-appendix.html that mean something of their own here. */
const DISK_FULL = ['53100'];
const READ_ONLY = ['25006'];
/** serialization_failure, deadlock_detected: the same transaction again succeeds. */
const AGAIN = ['40001', '40P01'];
/** admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, idle_session_timeout. */
const GOING_DOWN = ['57P01', '57P02', '57P03', '57P04', '57P05', '25P03'];
const SIGN_IN = ['28000', '28P01', '42501'];

function isOneOf(error: unknown, states: readonly string[]): boolean {
  const state = sqlState(error);
  return state !== null && states.includes(state);
}

export const isReadOnlyError = (error: unknown): boolean => isOneOf(error, READ_ONLY);
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
  if (isReadOnlyError(error)) return `the database is read-only: a standby, or set so (SQLSTATE ${state})`;
  if (state.startsWith('22') || state.startsWith('23')) return `the database refused a value (SQLSTATE ${state})`;
  return `${error.message} (SQLSTATE ${state})`;
}

function startCode(error: unknown): OutboxStartCode {
  if (isDiskFull(error)) return 'outbox_disk_full';
  if (isOneOf(error, SIGN_IN)) return 'outbox_permission';
  return 'outbox_cannot_open';
}

/** Why the database cannot be used. Its message is `problem` and `fix` together; neither holds a secret. */
export class DatabaseStartError extends OutboxStartError {
  readonly problem: string;
  /** What a person has to do. */
  readonly fix: string;

  constructor(code: OutboxStartCode, problem: string, fix: string, options?: ErrorOptions) {
    super(code, `${problem}. ${fix}`, options);
    this.problem = problem;
    this.fix = fix;
  }
}

/** Any error of opening as an OutboxStartError that names `place` and says what to do. */
export function toStartError(error: unknown, place: string): OutboxStartError {
  if (error instanceof OutboxStartError) return error;
  const problem = `The outbox at ${place} cannot be opened: ${describe(error)}`;
  return new DatabaseStartError(startCode(error), problem, fixFor(error), { cause: error });
}
