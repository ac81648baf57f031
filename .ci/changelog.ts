/**
 * What CHANGELOG.md says of a version: the text of its section, which becomes the notes of the release. npm runs the file
 * for `npm version <number>` before it changes anything, so that no version is tagged that the changelog does not have.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import manifest from '../package.json' with { type: 'json' };

const file = path.join(import.meta.dirname, '../CHANGELOG.md');

export function notesOf(version: string): string {
  const sections = readFileSync(file, 'utf8').split(/^## /m);
  const section = sections.find((text) => text.startsWith(`[${version}]`));
  const [heading = '', ...lines] = section?.split('\n') ?? [];
  if (!/^\[[^\]]+\] - \d{4}-\d\d-\d\d$/.test(heading) || lines.every((line) => line.trim() === '')) {
    throw new Error(`CHANGELOG.md has no section "## [${version}] - <year>-<month>-<day>" with a text`);
  }
  return `${lines.join('\n').trim()}\n`;
}

if (import.meta.main) {
  try {
    notesOf(process.env['npm_new_version'] ?? manifest.version);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
