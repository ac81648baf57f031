import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { parse } from 'yaml';
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

it('the workflows are YAML, and call what .ci/run calls', () => {
  for (const file of readdirSync(path.join(repository, '.github/workflows'))) {
    const workflow = parse(read(`.github/workflows/${file}`)) as {
      jobs: Record<string, { steps: { run?: string }[] }>;
    };
    const runs = Object.values(workflow.jobs).flatMap(({ steps }) => steps.map(({ run = '' }) => run));
    assert.ok(
      runs.some((run) => run.includes('.ci/run')),
      file,
    );
  }
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
});
