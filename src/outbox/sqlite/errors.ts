import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { CallError, DamageError, FullError, type OutboxStartCode, OutboxStartError } from '../engine.ts';

/** The extended result code, or null when the error is not SQLite's. */
function errcode(error: unknown): number | null {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) : null;
}

/** Primary result codes (https://www.sqlite.org/rescode.html): the low byte of an error's `errcode` in node:sqlite. */
const hasResult = (results: readonly number[]) => (error: unknown) => results.includes((errcode(error) ?? 0) & 0xff);

export const isBusy = hasResult([5, 6]); // BUSY, LOCKED
const isDenied = hasResult([3, 8, 14, 23]); // PERM, READONLY, CANTOPEN, AUTH
const isIoError = hasResult([10]); // IOERR
const isDamagedFile = hasResult([11, 26]); // CORRUPT, NOTADB
const isFull = hasResult([13]); // FULL
const isRefused = hasResult([18, 19, 20, 25]); // TOOBIG, CONSTRAINT, MISMATCH, RANGE

/**
 * UNIQUE, PRIMARY KEY and ROWID (https://www.sqlite.org/rescode.html#constraint_unique): a number or id is taken although
 * this process gave it, because another process writes to the database.
 */
const TAKEN: readonly unknown[] = [2067, 1555, 2579];

/** Whether it is an error of the system with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** Whether the file itself is damaged, as SQLite or a check of ours found: the only reason for setting it aside. */
export function isDamage(error: unknown): boolean {
  return error instanceof DamageError || isDamagedFile(error);
}

export function isDiskFull(error: unknown): boolean {
  return isFull(error) || hasCode(error, 'ENOSPC', 'EDQUOT');
}

/** Safe for logs and answers: SQLite's messages name tables, columns and conditions, but no data. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = errcode(error);
  return code === null ? error.message : `${error.message} (SQLite result code ${code})`;
}

/**
 * What an engine's method rejects with. A CallError is for a value that the schema refuses or a statement cannot bind (a
 * TypeError), or for a defect of ours, so that the other calls of its transaction can go on. Any other fails them all.
 */
export function toEngineError(error: unknown): Error {
  if (error instanceof FullError || error instanceof DamageError || error instanceof CallError) return error;
  const isOfValue = isRefused(error) && !TAKEN.includes(errcode(error));
  const isCalls = isOfValue || error instanceof RangeError || error instanceof TypeError;
  if (isCalls) return new CallError(describe(error), { cause: error });
  if (isDamage(error)) return new DamageError(describe(error), { cause: error });
  if (isDiskFull(error)) return new FullError('disk', describe(error), { cause: error });
  return new Error(describe(error), { cause: error });
}

function startCode(error: unknown): OutboxStartCode {
  if (isDiskFull(error)) return 'outbox_disk_full';
  if (isDenied(error) || hasCode(error, 'EACCES', 'EPERM', 'EROFS')) return 'outbox_permission';
  if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EEXIST', 'ELOOP', 'ENAMETOOLONG', 'EINVAL')) return 'outbox_no_folder';
  if (isIoError(error) || hasCode(error, 'EIO')) return 'outbox_io_error';
  return 'outbox_cannot_open';
}

/** Names the user that runs this process, and the owner of the path or of the nearest folder above it that exists. */
function describeOwner(path: string): string {
  const runner = `This process runs as uid ${process.getuid?.()}, gid ${process.getgid?.()}`;
  for (let place = resolve(path); ; place = dirname(place)) {
    try {
      const { uid, gid, mode } = statSync(place);
      return `${runner}; ${place} belongs to uid ${uid}, gid ${gid}, with mode ${(mode & 0o7777).toString(8)}`;
    } catch {
      if (dirname(place) === place) return runner;
    }
  }
}

/** Turns any error of opening into an OutboxStartError that names `place` and says what to do. */
export function toStartError(error: unknown, place: string): OutboxStartError {
  if (error instanceof OutboxStartError) return error;
  const code = startCode(error);
  const owner = code === 'outbox_permission' ? `. ${describeOwner(place)}` : '';
  const problem = `The outbox at ${place} cannot be opened: ${describe(error)}${owner}`;
  return new OutboxStartError(code, problem, undefined, { cause: error });
}
