import { globSync } from 'node:fs';
import path from 'node:path';

/**
 * Folders whose tests run in one process, by the file `all-…` that `npm test` runs in place of them; each can still be run
 * alone. A process for each file would take a fifth more processor time: many files take less than the modules that they
 * load, and Microsoft's Kusto language service takes six seconds to get going.
 */
export const together = {
  commands: ['commands'],
  page: ['page'],
  service: ['service'],
  emulated: ['admin', 'emulator', 'heartbeat', 'metrics'],
  content: ['deploy', 'sentinel-content'],
  delivery: ['delivery'],
  outbox: ['outbox'],
  units: ['apono', 'azure', 'config', 'ground', 'http', 'kinds', 'sentinel'],
} as const;

/** Files in those folders that get a process of their own. */
export const alone = [
  // MSAL keeps the tokens of managed identities for the whole process.
  'azure/proxy.test.ts',
  // They wait for long, and the others need not wait with them.
  'commands/demo.test.ts',
  'kinds/fifth-kind-walk.test.ts',
];

/** Runs the tests of these folders in this process, one file after the other. */
export async function runTogether(name: keyof typeof together): Promise<void> {
  const patterns = together[name].map((folder) => `${folder}/**/*.test.ts`);
  const files = globSync(patterns, { cwd: import.meta.dirname, exclude: alone });
  for (const file of files.toSorted()) await import(path.join(import.meta.dirname, file));
}
