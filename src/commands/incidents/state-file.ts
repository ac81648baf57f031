import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type ExportState, ExportStateError, readState, writeState } from '../../sentinel/incidents/state.ts';
import { syncFolder } from './output.ts';

/** Null: there is no file yet, so that everything is exported. Rejects with an ExportStateError. */
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
  const temporary = `${path.resolve(file)}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(writeState(state));
      await handle.sync();
    } finally {
      await handle.close();
    }
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
