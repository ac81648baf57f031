/**
 * `npm run sbom`: a CycloneDX list of the packages that run, on stdout. `npm sbom --omit dev` leaves out a package that
 * runs as soon as one of the development's needs it too (npm 11: `#ajv.dev` matches it), so it is asked about a project
 * that has no other packages.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';

interface Manifest {
  readonly [member: string]: unknown;
}

interface Lockfile extends Manifest {
  readonly packages: Readonly<Record<string, Manifest>>;
}

const root = path.join(import.meta.dirname, '..');
const read = <T extends Manifest>(name: string): T => JSON.parse(readFileSync(path.join(root, name), 'utf8')) as T;

/** Of the manifest of the project: what runs. Node is the base image's, so that its binaries are none of the packages. */
function whatRuns({ devDependencies: _dev, optionalDependencies: _node, ...rest }: Manifest): Manifest {
  return rest;
}

const { packages, ...lock } = read<Lockfile>('package-lock.json');
const running = Object.entries(packages).filter(
  ([, entry]) => !['dev', 'optional', 'devOptional'].some((flag) => entry[flag] === true),
);
const parent = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-sbom-'));
// npm names the whole after its folder.
const folder = path.join(parent, 'apono-sentinel');
try {
  mkdirSync(folder);
  const write = (name: string, value: object): void => writeFileSync(path.join(folder, name), JSON.stringify(value));
  write('package.json', whatRuns(read('package.json')));
  write('package-lock.json', {
    ...lock,
    packages: Object.fromEntries(running.map(([name, entry]) => [name, name === '' ? whatRuns(entry) : entry])),
  });
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'application', '--package-lock-only'];
  const { status } = spawnSync('npm', args, { cwd: folder, stdio: 'inherit', shell: process.platform === 'win32' });
  process.exitCode = status ?? 1;
} finally {
  rmSync(parent, { recursive: true, force: true });
}
