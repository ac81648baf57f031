import { accessSync, constants } from 'node:fs';

/** What is said of a file that a variable names. It continues a sentence that starts with the name of the variable. */
export function fileProblem(path: string, what: string): string {
  return `names ${JSON.stringify(path)}, which ${what}`;
}

export function cannotBeRead(error: unknown, otherwise = 'unknown'): string {
  return `cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : otherwise})`;
}

/** Null: this user may read it. */
export function accessProblem(path: string): string | null {
  try {
    accessSync(path, constants.R_OK);
    return null;
  } catch (error) {
    return cannotBeRead(error);
  }
}

/** `~`, `~/data`, `~name/data`: the service would make a folder of that name. */
export function startsWithTilde(text: string): boolean {
  return /^~[\w.-]*([/\\]|$)/.test(text);
}

export const tildeProblem =
  'starts with ~, which a shell replaces by a home folder and this service does not; write the whole path';
