import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { open, realpath, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import type { Retry } from '../../azure/arm-client.ts';
import type { Clock } from '../../ground/clock.ts';
import { syncPath } from '../../outbox/sqlite/files.ts';
import { timeText } from '../../sentinel/incidents/incident.ts';
import { CommandError, exitCodes, failed, type TextOutput } from '../context.ts';
import { plural, printable } from '../text.ts';

/** Where an export goes. Every method rejects with a CommandError. */
export type ExportOutput = Awaited<ReturnType<typeof openFileOutput>>;

/** The reader of stdout went away, which is its right. */
export class OutputClosedError extends CommandError {}

/**
 * A file that is there whole or not at all: it is written beside its place, synced and renamed. What was written of one
 * that failed is kept as `<file>.partial`. Only this user can read it, since incidents name people.
 */
export async function openFileOutput(file: string) {
  let isEmpty = true;
  const { target, temporary, handle } = await named(file, async () => {
    const target = await targetOf(file);
    // Nor a pipe or a device.
    if (existsSync(target) && !statSync(target).isFile()) {
      throw failed(`output_failed: ${file} is no file; leave --out away to write to stdout`);
    }
    const temporary = temporaryOf(target);
    return { target, temporary, handle: await open(temporary, 'wx', 0o600) };
  });
  return {
    /** Resolves when more can be taken. Waiting for it keeps one page in memory, however slow the reader is. */
    async write(text: string): Promise<void> {
      if (text === '') return;
      isEmpty = false;
      await named(target, () => handle.appendFile(text));
    },
    commit: (): Promise<void> =>
      named(target, async () => {
        await handle.sync();
        await handle.close();
        await rename(temporary, target);
        syncPath(path.dirname(target));
      }),
    /** It will never be complete. Resolves with where the part that was written is kept; null where there is none. */
    abandon: (): Promise<string | null> =>
      named(temporary, async () => {
        await handle.close();
        if (isEmpty) await rm(temporary, { force: true });
        else await rename(temporary, `${target}.partial`);
        return isEmpty ? null : `${target}.partial`;
      }),
  };
}

/** What a rename may replace: not a link, which would be a file from then on, but what it points to. */
export function targetOf(file: string): Promise<string> {
  return realpath(file).catch(() => path.resolve(file));
}

export function temporaryOf(target: string): string {
  return `${target}.${randomBytes(4).toString('hex')}.tmp`;
}

/** The stream behind stdout says when it has taken a text and when its reader is gone; a list in a test takes all. */
export function openStreamOutput(stdout: TextOutput): ExportOutput {
  const isTerminal = stdout.isTTY === true;
  return {
    async write(text) {
      // In a terminal a title could hold what steers it; in a file or a pipe every byte counts.
      const shown = isTerminal ? printable(text.replaceAll('\r\n', '\n')) : text;
      if (shown === '') return;
      await named('stdout', () => {
        if (!(stdout instanceof Writable)) return Promise.resolve(stdout.write(shown));
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        stdout.write(shown, (error) => (error ? reject(error) : resolve()));
        return promise;
      });
    },
    commit: async () => undefined,
    abandon: async () => null,
  };
}

const closed = ['EPIPE', 'ERR_STREAM_DESTROYED', 'ECONNRESET'];

/** Runs it, and rejects with a CommandError that names the place. */
async function named<T>(where: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (!closed.includes(code)) throw failed(`output_failed: ${where} could not be written: ${message}`);
    throw new OutputClosedError(exitCodes.failed, `output_closed: the reader of ${where} went away`);
  }
}

/** Between lines where no terminal shows one that changes. */
const pauseMs = 10_000;

/** Above this, the user is told why we are waiting. */
export const longWaitMs = 5_000;

export function waitingText({ reason, delayMs }: Retry): string {
  return `waiting ${Math.ceil(delayMs / 1000)} s: ${printable(reason)}`;
}

export type Progress = ReturnType<typeof createProgress>;

/** How far an export is: one changing line on a terminal, else a line every ten seconds. Has no timers. */
export function createProgress(output: TextOutput, clock: Clock, { quiet }: { readonly quiet: boolean }) {
  let shownAt = clock.now();
  let hasLine = false;

  function show(text: string, isUrgent: boolean): void {
    if (quiet) return;
    if (output.isTTY === true) {
      output.write(`\r${text.slice(0, Math.max(20, (output.columns ?? 80) - 1))}\u001b[K`);
      hasLine = true;
      return;
    }
    const now = clock.now();
    const waitedMs = now - shownAt;
    // Negative when the clock was set back.
    if (!isUrgent && waitedMs >= 0 && waitedMs < pauseMs) return;
    shownAt = now;
    output.write(`${text}\n`);
  }

  return {
    update(count: number, createdAt: string | null): void {
      show(`${plural(count, 'incident')}, up to the one created ${timeText(createdAt)}`, false);
    },
    retry(retry: Retry): void {
      show(waitingText(retry), retry.delayMs >= longWaitMs);
    },
    /** Ends the line of a terminal, so that what follows begins its own. */
    end(): void {
      if (hasLine) output.write('\r\u001b[K');
      hasLine = false;
    },
  };
}
