import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { open, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import { type ExportState, ExportStateError, readState, writeState } from '../../sentinel/incidents/state.ts';
import type { TextOutput } from '../context.ts';
import { printable } from '../text.ts';

/** Where an export goes. Every method rejects with an OutputError. */
export interface ExportOutput {
  /** Resolves when more can be taken. A caller that waits for it keeps one page in memory, however slow the reader is. */
  write(text: string): Promise<void>;
  commit(): Promise<void>;
  /** It will never be complete. Resolves with where the part that was written is kept; null where there is none. */
  abandon(): Promise<string | null>;
}

export class OutputError extends Error {
  override readonly name = 'OutputError';
  readonly code: 'output_failed' | 'output_closed';

  /** `output_closed`: the reader of stdout went away, which is its right. */
  constructor(code: OutputError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * A file that is there whole or not at all: it is written beside its place, synced and renamed. What was written of one
 * that failed is kept as `<file>.partial`. Only this user can read it, since incidents name people.
 */
export async function openFileOutput(file: string): Promise<ExportOutput> {
  let isEmpty = true;
  const { target, temporary, handle } = await named(file, async () => {
    // A rename would put a file in the place of a link, a pipe or a device.
    const target = existsSync(file) ? await realpath(file) : path.resolve(file);
    if (existsSync(target) && !statSync(target).isFile()) {
      throw new OutputError('output_failed', `${file} is no file; leave --out away to write to stdout`);
    }
    const temporary = temporaryOf(target);
    return { target, temporary, handle: await open(temporary, 'wx', 0o600) };
  });
  return {
    async write(text) {
      if (text === '') return;
      isEmpty = false;
      await named(target, () => handle.appendFile(text));
    },
    commit: () =>
      named(target, async () => {
        await handle.sync();
        await handle.close();
        await rename(temporary, target);
        await syncFolder(target);
      }),
    abandon: () =>
      named(temporary, async () => {
        await handle.close();
        if (isEmpty) await rm(temporary, { force: true });
        else await rename(temporary, `${target}.partial`);
        return isEmpty ? null : `${target}.partial`;
      }),
  };
}

function temporaryOf(target: string): string {
  return `${target}.${randomBytes(4).toString('hex')}.tmp`;
}

/** Runs it, and rejects with an OutputError that names the place. */
async function named<T>(where: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw asOutputError(error, where);
  }
}

/** A rename is only sure to be there after a power cut when its folder is synced. Windows cannot, and need not. */
async function syncFolder(file: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path.dirname(file), 'r');
  await folder.sync().finally(() => folder.close());
}

/** The stream behind stdout says when it has taken a text and when its reader is gone; a list in a test takes all. */
export function openStreamOutput(stdout: TextOutput): ExportOutput {
  const isTerminal = stdout.isTTY === true;
  return {
    write(text) {
      // In a terminal a title could hold what steers it; in a file or a pipe every byte counts.
      const shown = isTerminal ? printable(text.replaceAll('\r\n', '\n')) : text;
      if (shown === '') return Promise.resolve();
      return stdout instanceof Writable ? writeTo(stdout, shown) : Promise.resolve(void stdout.write(shown));
    },
    commit: () => Promise.resolve(),
    abandon: () => Promise.resolve(null),
  };
}

function writeTo(stream: Writable, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(asOutputError(error, 'stdout'));
    });
  });
}

const closed = new Set(['EPIPE', 'ERR_STREAM_DESTROYED', 'ECONNRESET']);

function asOutputError(error: unknown, where: string): OutputError {
  if (error instanceof OutputError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : null;
  if (code !== null && closed.has(code)) return new OutputError('output_closed', `the reader of ${where} went away`);
  const message = error instanceof Error ? error.message : String(error);
  return new OutputError('output_failed', `${where} could not be written: ${message}`, { cause: error });
}

export async function loadState(
  file: string,
  expected: { readonly workspaceId: string; readonly selection: string },
): Promise<ExportState | null> {
  try {
    return readState(await readFile(file, 'utf8'), expected);
  } catch (error) {
    if (isMissing(error)) return null;
    if (error instanceof ExportStateError) throw new ExportStateError(`${file} ${error.message}`);
    throw new ExportStateError(`${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** Whole or not at all. Rejects with an ExportStateError. */
export async function saveState(file: string, state: ExportState): Promise<void> {
  const temporary = temporaryOf(path.resolve(file));
  try {
    await writeFile(temporary, writeState(state), { flag: 'wx', mode: 0o600, flush: true });
    await rename(temporary, file);
    await syncFolder(file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new ExportStateError(`${file} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
