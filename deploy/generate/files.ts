import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { GeneratedFiles } from './generate.ts';

/** The generated files in the folder whose text is another, or that are not there. */
export function driftedFiles(folder: string, files: GeneratedFiles): readonly string[] {
  return [...files]
    .filter(([name, text]) => {
      const file = path.join(folder, name);
      return !existsSync(file) || readFileSync(file, 'utf8') !== text;
    })
    .map(([name]) => name);
}

export function writeFiles(folder: string, files: GeneratedFiles): void {
  for (const [name, text] of files) {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
