import { CallError, CopyError, FullError, OutboxStartError } from '../engine.ts';

/** The connection is of no use any more, or there never was one. The cause is what pg or Node said. */
export class LostError extends Error {
  override readonly name = 'LostError';
}

/** The same transaction would succeed if it were run again. */
export class AgainError extends Error {
  override readonly name = 'AgainError';
}

/** The SQLSTATE, or null when the error did not come from the server. */
export function sqlState(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null;
  return /^[0-9A-Z]{5}$/.test(error.code) && 'severity' in error ? error.code : null;
}

/** The states are those of https://www.postgresql.org/docs/current/errcodes-appendix.html */
const hasState = (states: RegExp) => (error: unknown) => states.test(sqlState(error) ?? '');

/** A connection to a server that became a standby stays read-only; a new one may reach the new primary. */
export const isReadOnlyError = hasState(/^25006$/);
export const isDiskFull = hasState(/^53100$/);
export const isForbidden = hasState(/^42501$/);
/** Data exception, or integrity constraint violation. */
const isRefusedValue = hasState(/^2[23]/);
/** serialization_failure, deadlock_detected. */
const isUnlucky = hasState(/^(40001|40P01)$/);
/** Connection exceptions, admin_shutdown, crash_shutdown, cannot_connect_now, and timeouts of idle sessions. */
const isFarewell = hasState(/^(08...|57P0[1-5]|25P03)$/);
/** lock_not_available, query_canceled. */
const isOvertime = hasState(/^(55P03|57014)$/);

export function isWorthAnotherTry(error: unknown): boolean {
  return error instanceof AgainError || isUnlucky(error);
}

export function isConnectionGone(error: unknown): boolean {
  return error instanceof LostError || isFarewell(error);
}

/** While a server starts, or another replica makes the tables. An unknown host or a wrong password does not pass by itself. */
export function isPassing(error: unknown): boolean {
  if (error instanceof LostError) return /ECONNREFUSED|ECONNRESET/.test(textOf(error));
  return isFarewell(error) || isOvertime(error);
}

/** For logs and answers. The server quotes values in the messages of classes 22 and 23 only: those are left out. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const state = sqlState(error);
  if (state === null) {
    // What is left of several addresses that were tried has no message of its own.
    return error instanceof AggregateError ? error.errors.map(describe).join('; ') : error.message;
  }
  if (isReadOnlyError(error)) return `the database is read-only: a standby, or set so (SQLSTATE ${state})`;
  if (isRefusedValue(error)) return `the database refused a value (SQLSTATE ${state})`;
  return `${error.message} (SQLSTATE ${state})`;
}

/** What an engine rejects with: see engine.ts. */
export function toEngineError(error: unknown): Error {
  if ([FullError, CallError, CopyError].some((known) => error instanceof known)) return error as Error;
  if (error instanceof RangeError) return new CallError(error.message, { cause: error });
  if (isRefusedValue(error)) return new CallError(describe(error));
  if (isDiskFull(error)) return new FullError('disk', describe(error), { cause: error });
  return new Error(describe(error), { cause: error });
}

/** Any error of opening as an OutboxStartError that names `place` and says what to do. It holds no secret. */
export function toStartError(error: unknown, place: string): OutboxStartError {
  if (error instanceof OutboxStartError) return error;
  const text = `${sqlState(error)} ${textOf(error)}`;
  const isPermission = /^(28000|28P01|42501) /.test(text);
  const code = isDiskFull(error) ? 'outbox_disk_full' : isPermission ? 'outbox_permission' : 'outbox_cannot_open';
  const problem = `The outbox at ${place} cannot be opened: ${describe(error)}`;
  const known = Object.entries(FIXES).find(([pattern]) => new RegExp(pattern, 'i').test(text));
  const fix = known?.[1] ?? 'Check OUTBOX_URL and the server, then start again; nothing was changed.';
  return new OutboxStartError(code, problem, fix, { cause: error });
}

/** By SQLSTATE, or by what Node, OpenSSL or pg say, whose errors have no common codes. The first that matches counts. */
const FIXES = {
  '^28P01 ': 'Check user and password in OUTBOX_URL; with auth=entra, that the role was made for this identity.',
  '^28000 ':
    'No rule lets this user in from here: check the role and pg_hba.conf, which may ask for encryption (sslmode=verify-full).',
  '^3D000 ': 'Make that database, or correct its name in OUTBOX_URL.',
  '^42501 ': 'The user of OUTBOX_URL must be allowed to connect, and to create the schema of the service or own it.',
  '^53100 ': 'Free some space on the server, then start again; nothing was lost.',
  '^53300 ': 'Raise max_connections of the server, or the connection limit of the role: a replica opens up to eight.',
  '^57P03 ': 'Nothing, if the server is starting; else look at its log.',
  'ENOTFOUND|EAI_AGAIN|ENODATA':
    'The host in OUTBOX_URL does not resolve. Check its spelling and the DNS of this machine or container; with a private ' +
    'endpoint, its zone must be linked to this network.',
  ECONNREFUSED:
    'Nothing listens there: check host and port in OUTBOX_URL, and whether the server runs and listens there.',
  'does not support SSL':
    'The server does not encrypt: turn `ssl` on there. sslmode=disable in OUTBOX_URL is for a server on this machine.',
  'ALTNAME|does not match certificate':
    'The certificate is for another name: OUTBOX_URL must name the host as it does.',
  'CERT_(HAS_EXPIRED|NOT_YET_VALID)':
    'The certificate of the server is out of date: renew it there, and check the clock of this machine.',
  'certificate|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)':
    'The certificate of the server is not trusted here: name its CA with sslrootcert=<file> in OUTBOX_URL.',
  'nothing comes|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|timeout':
    'Nothing answers there: check host and port in OUTBOX_URL, and that firewalls and security groups let this machine through.',
};

/** All that an error and its causes say. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner = error instanceof AggregateError ? error.errors : error.cause === undefined ? [] : [error.cause];
  const code = 'code' in error ? String(error.code) : '';
  return [error.name, code, error.message, ...inner.map(textOf)].join(' ');
}
