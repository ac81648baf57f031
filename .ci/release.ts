/**
 * `npm run release`: makes what a release consists of from the commit that is checked out, into `dist/`: the tarball with
 * the packages that run, the SBOM, the checksums of both, and the notes. Publishes nothing; prints the commands that do,
 * and gives their values to the workflow, so that both have one source. It needs git, npm and Node, and no package.
 *
 * A release is a commit with the tag `v<version>` of package.json. Any other commit makes a tarball to try, with the commit
 * in its name. The same commit and the same npm give the same tarball, byte for byte.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import manifest from '../package.json' with { type: 'json' };
import { notesOf } from './changelog.ts';
import { parts } from './parts.ts';

const root = path.join(import.meta.dirname, '..');
const dist = path.join(root, 'dist');

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

const tag = `v${manifest.version}`;
const tags = run('git', ['tag', '--points-at', 'HEAD', '--list', 'v*']).split('\n').filter(Boolean);
const isRelease = tags.includes(tag);
if (!isRelease && tags.length > 0) throw new Error(`The tag is ${tags.join(', ')}, and package.json has ${tag}`);
const notes = isRelease ? notesOf(manifest.version) : null;
const name = `apono-sentinel-${manifest.version}${isRelease ? '' : `-${revision.slice(0, 7)}`}`;

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
  writeFileSync(path.join(dist, `${name}.sbom.json`), run(process.execPath, ['.ci/sbom.ts']));
} finally {
  rmSync(work, { recursive: true, force: true });
}
const sums = [`${name}.tar.gz`, `${name}.sbom.json`].map((file) => `${sha256(file)}  ${file}\n`).join('');
writeFileSync(path.join(dist, `${name}.sha256`), sums);
process.stdout.write(`${sums}\nIn dist/, from ${revision}.\n`);

if (notes === null) {
  process.stdout.write(`To try, not to publish: the commit has no tag ${tag} (CONTRIBUTING.md, "Releasing").\n`);
} else {
  writeFileSync(path.join(dist, 'notes.md'), notes);
  // Names of images are in lower case, whatever the repository is called.
  const repository = process.env['GITHUB_REPOSITORY']?.toLowerCase();
  const image = repository === undefined ? '<registry>/apono-sentinel' : `ghcr.io/${repository}`;
  const { version } = manifest;
  const outputs = Object.entries({ name, version, revision, created, image }).map((pair) => `${pair.join('=')}\n`);
  if (process.env['GITHUB_OUTPUT'] !== undefined) appendFileSync(process.env['GITHUB_OUTPUT'], outputs.join(''));
  process.stdout.write(`
On GitHub \`git push origin ${tag}\` has .github/workflows/release.yml publish it. Without that workflow push the tag and
enter, with your registry:

  docker build -t ${image}:${version} \\
    --build-arg VERSION=${version} --build-arg REVISION=${revision} --build-arg CREATED=${created} .
  docker push ${image}:${version}
  gh release create ${tag} dist/${name}.* --verify-tag --notes-file dist/notes.md
`);
}
