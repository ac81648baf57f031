import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { describe, it, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { notesOf } from '../../.ci/changelog.ts';
import { parts } from '../../.ci/parts.ts';
import manifest from '../../package.json' with { type: 'json' };
import { repository } from './support.ts';

const read = (file: string): string => readFileSync(path.join(repository, file), 'utf8');

describe('the version', () => {
  it('of package.json is that of the chart (`npm version` writes both)', () => {
    const chart = parse(read('deploy/helm/apono-sentinel/Chart.yaml')) as { version: string; appVersion: string };
    assert.deepEqual([chart.version, chart.appVersion], [manifest.version, manifest.version]);
  });

  it('is in CHANGELOG.md, and the licence is in the repository', () => {
    assert.match(read('CHANGELOG.md'), /^## \[?Unreleased\]?/m);
    assert.equal(manifest.license, 'MIT');
    assert.match(read('LICENSE'), /^MIT License/);
  });
});

it('a version that CHANGELOG.md does not have has no notes, so that it cannot be tagged or released', () => {
  assert.throws(() => notesOf('0.0.0'), /CHANGELOG\.md has no section "## \[0\.0\.0\] - <year>/);
  assert.throws(() => notesOf('Unreleased'), /has no section/);
  const { scripts } = manifest;
  assert.equal(scripts.preversion, 'node .ci/changelog.ts');
});

it('what the tarball has is in the repository, and its Markdown links to nothing that it lacks', () => {
  for (const part of parts) assert.ok(existsSync(path.join(repository, part)), part);
  const pages = globSync(
    parts.map((part) => (part.endsWith('.md') ? part : `${part}/**/*.md`)),
    { cwd: repository },
  );
  const targets = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)].map(([, target = '']) =>
      path.posix.join(path.posix.dirname(page.replaceAll('\\', '/')), target),
    ),
  );
  assert.ok(pages.includes('README.md') && targets.length > 100, 'the pages are read');
  assert.deepEqual(
    targets.filter((target) => !parts.some((part) => target === part || target.startsWith(`${part}/`))),
    [],
  );
});

describe('the workflows', () => {
  interface Step {
    readonly uses?: string;
    readonly run?: string;
  }
  interface Job {
    readonly permissions?: Readonly<Record<string, string>>;
    readonly uses?: string;
    readonly needs?: string;
    readonly steps?: readonly Step[];
  }
  interface Workflow {
    readonly permissions: Readonly<Record<string, string>>;
    readonly jobs: Readonly<Record<string, Job>>;
  }
  const workflow = (file: string): Workflow => parse(read(`.github/workflows/${file}`)) as Workflow;
  const stepsOf = (file: string): Step[] => Object.values(workflow(file).jobs).flatMap(({ steps = [] }) => steps);

  it('run all checks, the one of a release before it and in a job that may only read', () => {
    assert.ok(stepsOf('ci.yml').some(({ run }) => run?.endsWith('.ci/run')));
    assert.deepEqual(workflow('ci.yml').permissions, { contents: 'read' });
    const { permissions, jobs } = workflow('release.yml');
    assert.deepEqual(permissions, {});
    assert.deepEqual(jobs['checks'], { permissions: { contents: 'read' }, uses: './.github/workflows/ci.yml' });
    assert.equal(jobs['release']?.needs, 'checks');
    assert.ok(!stepsOf('release.yml').some(({ run = '' }) => /sudo|npm ci|\.ci\/run/.test(run)));
  });

  it('use actions by their commit, with the version beside it', () => {
    const actions = readdirSync(path.join(repository, '.github/workflows')).flatMap((file) =>
      [...read(`.github/workflows/${file}`).matchAll(/^ +(?:- )?uses: (.*)$/gm)].map(([, action = '']) => action),
    );
    assert.ok(actions.length > 8);
    const isPinned = /^(?:\.\/\.github\/.*|[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/;
    assert.deepEqual(
      actions.filter((action) => !isPinned.test(action)),
      [],
    );
  });

  it('take the values of a release from .ci/release.ts, which gives them', () => {
    const text = read('.github/workflows/release.yml');
    const script = read('.ci/release.ts');
    const [, given = ''] = /Object\.entries\(\{ ([\w, ]+) \}\)/.exec(script) ?? [];
    const used = [...text.matchAll(/steps\.release\.outputs\.(\w+)/g)].map(([, name]) => name);
    assert.deepEqual(new Set(used), new Set(given.split(', ')));
    assert.doesNotMatch(text, /github\.(?:ref_name|repository|sha)/);
  });
});

describe('deploy/systemd/apono-sentinel.service', () => {
  const analyze = spawnSync('systemd-analyze', ['--version']).status === 0;
  const skip = analyze ? false : 'there is no systemd-analyze here; Debian has it in the package systemd';

  /** The unit as it is, in a folder of its own. */
  function unitHere(t: TestContext): string {
    const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-unit-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'apono-sentinel.service');
    copyFileSync(path.join(repository, 'deploy/systemd/apono-sentinel.service'), file);
    return file;
  }

  it('is what systemd understands', { skip }, (t) => {
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', unitHere(t)], { encoding: 'utf8' });
    assert.deepEqual([status, stdout, stderr], [0, '', '']);
  });

  it('is exposed less than 2.0 of 10', { skip }, (t) => {
    const args = ['security', '--offline=true', '--threshold=20', unitHere(t)];
    const { status, stdout } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    assert.equal(status, 0, stdout.trim().split('\n').at(-1));
  });

  it('starts Node with the flags of `npm start`', () => {
    const flags = /node (--[^ ]+(?: --[^ ]+)*) src\/main\.ts serve/.exec(manifest.scripts.start)?.[1];
    assert.ok(
      read('deploy/systemd/apono-sentinel.service').includes(
        `/usr/bin/env node ${flags} /opt/apono-sentinel/src/main.ts serve\n`,
      ),
      flags,
    );
    assert.ok(existsSync(path.join(repository, 'src/main.ts')));
  });

  it('has a command beside it that gets its user, variables and secrets, with the specifiers filled in', (t) => {
    const folder = path.dirname(unitHere(t));
    const standIn = (name: string, script: string): void =>
      writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    standIn('systemctl', `exec cat '${folder}/apono-sentinel.service'`);
    standIn('systemd-run', `printf '%s\\n' "$@"`);
    const command = (...given: readonly string[]) =>
      spawnSync(path.join(repository, 'deploy/systemd/apono-sentinel'), given, {
        encoding: 'utf8',
        env: { PATH: `${folder}:${process.env['PATH']}` },
      });
    const { stdout } = command('outbox', 'show', 'a b');
    const args = stdout.trimEnd().split('\n');
    const [, name = ''] = /^--unit=(.*)$/m.exec(stdout) ?? [];
    assert.deepEqual(args.slice(-5), [
      '--disable-sigusr1',
      '/opt/apono-sentinel/src/main.ts',
      ...['outbox', 'show', 'a b'],
    ]);
    for (const property of [
      ...['DynamicUser=yes', 'User=apono-sentinel', 'StateDirectory=apono-sentinel', 'StateDirectoryMode=0700'],
      'EnvironmentFile=/etc/apono-sentinel/apono-sentinel.env',
      'LoadCredential=azure_client_secret:/etc/apono-sentinel/azure_client_secret',
      `Environment=APONO_WEBHOOK_SECRET_FILE=/run/credentials/${name}.service/apono_webhook_secret`,
      'Environment=DATA_DIR=/var/lib/apono-sentinel SQLITE_TMPDIR=/var/lib/apono-sentinel NODE_ENV=production',
    ]) {
      assert.ok(args.includes(`--property=${property}`), property);
    }
    const units = read('deploy/systemd/apono-sentinel.service');
    assert.equal(stdout.match(/^--property=Environment=/gm)?.length, units.match(/^Environment=/gm)?.length);
    assert.doesNotMatch(stdout, /%/);

    standIn('systemctl', 'exit 1');
    const without = command('check');
    assert.deepEqual([without.status, without.stdout], [1, ''], 'without the unit nothing runs, and not as root');
  });
});
