/**
 * `npm run release`: makes what a release consists of from the commit that is checked out, into `dist/`: the tarball with
 * the packages that run, the SBOM, and the checksums of both. Publishes nothing; prints the commands that do. The version
 * is that of package.json. The same commit and the same npm give the same tarball, byte for byte.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import manifest from '../package.json' with { type: 'json' };

const root = path.join(import.meta.dirname, '..');
const dist = path.join(root, 'dist');
const name = `apono-sentinel-${manifest.version}`;
/** What an operator installs; tests, benchmarks and the checks stay in the repository. */
const parts = [
  'package.json',
  'package-lock.json',
  'src',
  'schemas',
  'deploy',
  'docs',
  '.env.example',
  'LICENSE',
].concat(['README.md', 'CHANGELOG.md', 'SECURITY.md', 'Dockerfile', '.dockerignore', 'docker-compose.yml']);

function run(command: string, args: readonly string[], cwd = root): string {
  const { status, stdout, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with exit code ${status}`);
  return stdout.trim();
}

function sha256(file: string): string {
  return createHash('sha256')
    .update(readFileSync(path.join(dist, file)))
    .digest('hex');
}

const changed = run('git', ['status', '--porcelain']);
if (changed !== '') throw new Error(`A release is made of a commit. These files are not committed:\n${changed}`);
const revision = run('git', ['rev-parse', 'HEAD']);
const created = new Date(Number(run('git', ['log', '-1', '--format=%ct'])) * 1_000).toISOString();

const work = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-release-'));
try {
  const folder = path.join(work, name);
  mkdirSync(folder);
  mkdirSync(dist, { recursive: true });
  run('git', ['archive', '--output', path.join(work, 'source.tar'), 'HEAD', ...parts]);
  run('tar', ['-xf', path.join(work, 'source.tar'), '-C', folder]);
  run('npm', ['ci', '--omit=dev', '--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund'], folder);
  // npm's own list of what it installed has times in it.
  rmSync(path.join(folder, 'node_modules/.package-lock.json'));
  const order = ['--sort=name', `--mtime=${created}`, '--owner=0', '--group=0', '--numeric-owner', '--mode=go=rX,u+rw'];
  const tarball = path.join(dist, `${name}.tar.gz`);
  run('tar', [...order, '--use-compress-program=gzip -n9', '-cf', tarball, name], work);
  writeFileSync(path.join(dist, `${name}.sbom.json`), run('node', ['.ci/sbom.ts']));
  const files = [`${name}.tar.gz`, `${name}.sbom.json`];
  const sums = files.map((file) => `${sha256(file)}  ${file}\n`).join('');
  writeFileSync(path.join(dist, `${name}.sha256`), sums);
  process.stdout.write(`${sums}
In dist/, from ${revision}. To publish it, with <registry> in place of yours:

  git tag v${manifest.version} ${revision} && git push origin v${manifest.version}
  docker build -t <registry>/apono-sentinel:${manifest.version} \\
    --build-arg VERSION=${manifest.version} --build-arg REVISION=${revision} --build-arg CREATED=${created} .
  docker push <registry>/apono-sentinel:${manifest.version}
  gh release create v${manifest.version} dist/${name}.* --notes-file CHANGELOG.md

.github/workflows/release.yml does this for a tag, and signs both.
`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
