import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { describe, type TestContext, test } from 'node:test';
import { type Run, run, spawnCli, validEnv } from './support.ts';

const fullText = Object.entries(validEnv)
  .map(([name, value]) => `${name}=${value}\n`)
  .join('');

describe('a command in a folder with a .env', () => {
  test('names the file, what it sets, and how to load it, beside what is missing', async (t) => {
    const folder = folderWith(t, `${fullText}PORT=8081\nNODE_EXTRA_CA_CERTS=/ca.pem\nEDITOR=vi\n`);
    const { exitCode, stderr } = await spawnCli(['check'], {}, folder);
    assert.equal(exitCode, 2);
    assert.ok(stderr.includes(`warning: .env: ${path.join(folder, '.env')} sets APONO_WEBHOOK_SECRET, `), stderr);
    assert.match(stderr, /LOGS_INGESTION_ENDPOINT, DATA_COLLECTION_RULE_ID and 1 more, which the environment does not/);
    assert.match(stderr, /`set -a; \. \.\/\.env; set \+a`.*compose \(env_file\).*\(EnvironmentFile=\)/);
    assert.match(stderr, /^APONO_WEBHOOK_SECRET: is required and not set/m);
    assert.doesNotMatch(stderr, new RegExp(`${validEnv['APONO_WEBHOOK_SECRET']}|EDITOR`));
  });

  test('is still valid with the rest in the environment, and says so in JSON too', async (t) => {
    const folder = folderWith(t, 'PORT=8081\n');
    const { exitCode, stdout } = await runIn(folder, ['check', '--json'], validEnv);
    assert.equal(exitCode, 0);
    const { ok, warnings } = JSON.parse(stdout) as { ok: boolean; warnings: { name: string; message: string }[] };
    assert.equal(ok, true);
    assert.match(warnings.find(({ name }) => name === '.env')?.message ?? '', / sets PORT, which the environment/);
  });

  for (const [command, problem] of [
    ['serve', /^APONO_WEBHOOK_SECRET: is required and not set/m],
    ['send-test', /^APONO_WEBHOOK_SECRET: is required and not set/m],
    ['status', /^admin_unreachable: /m],
  ] as const) {
    test(`${command} that fails for what is missing names the file too`, async (t) => {
      // Port 1 is privileged: nothing of a test listens there.
      const { stderr } = await runIn(folderWith(t, fullText), [command], { ADMIN_PORT: '1' });
      assert.match(stderr, problem);
      assert.match(stderr, /^warning: \.env: .* sets APONO_WEBHOOK_SECRET, /m);
    });
  }

  for (const [what, text] of [
    ['whose variables are all in the environment', fullText],
    ['whose secret is in the environment by another way', 'APONO_WEBHOOK_SECRET_FILE=/run/secrets/webhook\n'],
    ['of something else', 'EDITOR=vi\nPORT=\n'],
  ] as const) {
    test(`says nothing of one ${what}`, async (t) => {
      const { exitCode, stderr } = await runIn(folderWith(t, text), ['check'], validEnv);
      assert.equal(exitCode, 0);
      assert.doesNotMatch(stderr, /\.env/);
    });
  }
});

/** Runs a command in this process, in a folder. */
async function runIn(folder: string, ...command: Parameters<typeof run>): Promise<Run> {
  const before = process.cwd();
  process.chdir(folder);
  try {
    return await run(...command);
  } finally {
    process.chdir(before);
  }
}

function folderWith(t: TestContext, text: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-env-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, '.env'), text);
  return folder;
}
