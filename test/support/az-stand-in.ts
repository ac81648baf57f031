import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What `az` was called with. */
  readonly calls: readonly string[];
  /** The files that were given as --body, one after the other. */
  readonly bodies: string;
}

/** Runs shell commands with a stand-in for the Azure CLI. */
export interface AzStandIn {
  /** `az` answers the calls that hold `match`; the folder has the repository's schemas and .env.example. */
  run(script: string, match: string, answer: unknown): Run;
  /** A file that a script has written. */
  read(file: string): string;
  remove(): void;
}

/** Notes its words, and the file of a --body; answers where the words hold $AZ_MATCH. */
const AZ = `#!/bin/sh
printf '%s\\n' "$*" >> "$AZ_FOLDER/calls"
previous=
for word; do
  case "$previous$word" in --body@*) cat "$(printf %s "$word" | cut -c2-)" >> "$AZ_FOLDER/bodies";; esac
  previous=$word
done
case "$*" in *$AZ_MATCH*) cat "$AZ_FOLDER/answer";; esac
`;

/** The variables that the pages set first. */
const VARIABLES = {
  SUBSCRIPTION: 'sub',
  GROUP: 'group',
  WORKSPACE_NAME: 'workspace',
  LOCATION: 'westeurope',
  WORKSPACE: '/workspace',
  RULE: '/rule',
  AZURE_CLIENT_ID: 'client',
};

export function startAzStandIn(searchPath: string): AzStandIn {
  const folder = mkdtempSync(path.join(tmpdir(), 'az-'));
  const inFolder = (file: string): string => path.join(folder, file);
  writeFileSync(inFolder('az'), AZ);
  chmodSync(inFolder('az'), 0o755);
  for (const name of ['schemas', '.env.example']) {
    symlinkSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), inFolder(name));
  }
  const read = (file: string): string => readFileSync(inFolder(file), 'utf8');
  return {
    read,
    remove: () => rmSync(folder, { recursive: true, force: true }),
    run(script, match, answer) {
      for (const file of ['calls', 'bodies']) writeFileSync(inFolder(file), '');
      writeFileSync(inFolder('answer'), JSON.stringify(answer));
      const PATH = [folder, path.dirname(process.execPath), searchPath].join(path.delimiter);
      const { status, stdout, stderr } = spawnSync('bash', ['-eu', '-c', script], {
        cwd: folder,
        encoding: 'utf8',
        env: { ...VARIABLES, PATH, AZ_FOLDER: folder, AZ_MATCH: match },
      });
      const calls = read('calls')
        .split('\n')
        .filter((line) => line !== '');
      return { status, stdout, stderr, calls, bodies: read('bodies') };
    },
  };
}
