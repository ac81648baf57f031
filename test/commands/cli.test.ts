import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { mainFile, run, secret, spawnCli, validEnv } from './support.ts';

const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

describe('the command line, as a process', () => {
  it('check prints five problems of five wrong variables and exits 2', async () => {
    const { exitCode, stdout, stderr } = await spawnCli(['check'], {
      APONO_WEBHOOK_SECRET: 'hunter2',
      LOGS_INGESTION_ENDPOINT: 'https://evil.example',
      DATA_COLLECTION_RULE_ID: 'my-rule',
      PORT: '99999',
      TRUST_PROXY: 'true',
    });
    assert.equal(exitCode, 2);
    assert.equal(stdout, '');
    const lines = stderr.trimEnd().split('\n');
    assert.deepEqual(
      lines.slice(0, -1).map((line) => line.split(':')[0]),
      ['APONO_WEBHOOK_SECRET', 'LOGS_INGESTION_ENDPOINT', 'DATA_COLLECTION_RULE_ID', 'PORT', 'TRUST_PROXY'],
    );
    assert.equal(lines.at(-1), '5 problems in the configuration');
    assert.doesNotMatch(stderr, /hunter2/);
  });

  it('check --verbose prints a configuration that is right, without its secrets, and exits 0', async () => {
    const { exitCode, stdout, stderr } = await run(['check', '--verbose'], {
      ...validEnv,
      APONO_WEBHOOK_SECERT: 'x',
    });
    assert.equal(exitCode, 0);
    assert.match(stdout, /^The configuration is valid\.$/m);
    assert.doesNotMatch((await run(['check'], validEnv)).stdout, /^NAME/m);
    assert.match(stdout, /^NAME +VALUE +FROM$/m);
    assert.match(stdout, /^APONO_WEBHOOK_SECRET +set \(21 characters\) +environment$/m);
    assert.match(stdout, /^PORT +8080 +default$/m);
    assert.equal(stderr.split('\n')[0]?.startsWith('warning: APONO_WEBHOOK_SECERT: '), true);
    assert.ok(!`${stdout}${stderr}`.includes(secret));
  });

  it('--version prints that of package.json', async () => {
    const { exitCode, stdout } = await spawnCli(['--version']);
    assert.equal(exitCode, 0);
    assert.equal(stdout, `${(manifest as { version: string }).version}\n`);
  });

  it('ends quietly when the reader of its output has gone', async () => {
    const child = spawn(process.execPath, [mainFile, 'template'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const [exitCode] = await once(child, 'close');
    assert.equal(exitCode, 0);
    assert.doesNotMatch(stderr, /EPIPE/);
  });
});

describe('usage', () => {
  for (const args of [
    [],
    ['no-such-command'],
    ['check', '--no-such-option'],
    ['template', 'extra'],
    ['send-test', '--url'],
    ['outbox', 'list', '--kind', 'reqest'],
    ['outbox', 'purge', '--all', '--state', 'dead', '--kind', 'reqest', '--yes'],
  ]) {
    it(`${args.join(' ') || 'no command'}: exits 2 and says so on stderr`, async () => {
      const { exitCode, stdout, stderr } = await run(args);
      assert.equal(exitCode, 2);
      assert.equal(stdout, '');
      assert.match(stderr, /error:|Usage:/);
    });
  }

  it('help exits 0 and names every command', async () => {
    const { exitCode, stdout } = await run(['--help']);
    assert.equal(exitCode, 0);
    for (const name of ['serve', 'check', 'send-test', 'template', 'demo', 'healthcheck']) {
      assert.match(stdout, new RegExp(`^ {2}${name}\\b`, 'm'));
    }
  });
});

describe('check --json', () => {
  it('prints what is set, without secrets', async () => {
    const { exitCode, stdout } = await run(['check', '--json'], validEnv);
    assert.equal(exitCode, 0);
    const result = JSON.parse(stdout);
    assert.equal(result.ok, true);
    assert.deepEqual(result.problems, []);
    assert.deepEqual(result.settings[0], {
      name: 'APONO_WEBHOOK_SECRET',
      value: 'set (21 characters)',
      from: 'environment',
    });
  });

  it('prints the problems and exits 2', async () => {
    const { exitCode, stdout } = await run(['check', '--json', '--live'], { ...validEnv, PORT: 'x' });
    assert.equal(exitCode, 2);
    const result = JSON.parse(stdout);
    assert.equal(result.ok, false);
    assert.deepEqual(
      result.problems.map(({ name }: { name: string }) => name),
      ['PORT'],
    );
  });
});
