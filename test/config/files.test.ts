import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type VariableName, variableNames, variables } from '../../src/config/variables.ts';
import { configOf, load, problemsOf, secret } from './support.ts';

describe('NAME_FILE', () => {
  let folder = '';
  const file = (name: string, content: string | Buffer): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'apono-files-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('gives the value without the line break at its end', () => {
    for (const content of [secret, `${secret}\n`, `${secret}\r\n`, `\uFEFF${secret}\n`]) {
      const path = file('secret', content);
      const config = configOf({ APONO_WEBHOOK_SECRET: '', APONO_WEBHOOK_SECRET_FILE: path });
      assert.equal(config.webhook.secret, secret);
    }
  });

  it('works for every variable but those that are paths of the SDK', () => {
    const paths: readonly VariableName[] = ['AZURE_CLIENT_CERTIFICATE_PATH', 'AZURE_FEDERATED_TOKEN_FILE'];
    assert.deepEqual(
      variableNames.filter((name) => !variables[name].fromFile),
      paths,
    );
    const config = configOf({
      PORT_FILE: file('port', '8181\n'),
      AZURE_CLIENT_SECRET_FILE: file('client-secret', 'from a file\n'),
      AZURE_TENANT_ID: 'contoso.com',
      AZURE_CLIENT_ID: '0b1f6471-1bf0-4dda-aec3-111122223333',
    });
    assert.equal(config.webhook.port, 8181);
    assert.ok(config.credential.type === 'secret' && config.credential.clientSecret === 'from a file');
  });

  it('and NAME together are a problem', () => {
    const { APONO_WEBHOOK_SECRET: message = '' } = problemsOf({ APONO_WEBHOOK_SECRET_FILE: file('twice', secret) });
    assert.match(message, /set twice, as APONO_WEBHOOK_SECRET and as APONO_WEBHOOK_SECRET_FILE/);
  });

  it('that cannot be read is a problem that names the path', () => {
    for (const [path, code] of [
      [join(folder, 'not-there'), 'ENOENT'],
      [join(folder, 'a-folder'), 'EISDIR'],
    ] as const) {
      if (code === 'EISDIR') mkdirSync(path);
      const message = problemsOf({ ADMIN_TOKEN_FILE: path })['ADMIN_TOKEN'] ?? '';
      assert.ok(message.includes(JSON.stringify(path)) && message.includes(code), message);
    }
    const large = file('large', Buffer.alloc(70_000, 'a'));
    assert.match(problemsOf({ ADMIN_TOKEN_FILE: large })['ADMIN_TOKEN'] ?? '', /larger than 64 KiB/);
  });

  it('that is empty is no value', () => {
    const empty = file('empty', '\n');
    assert.equal(configOf({ APONO_WEBHOOK_SECRET_PREVIOUS_FILE: empty }).webhook.previousSecret, null);
    const message = problemsOf({ APONO_WEBHOOK_SECRET: '', APONO_WEBHOOK_SECRET_FILE: empty })['APONO_WEBHOOK_SECRET'];
    assert.match(message ?? '', /required and not set \(APONO_WEBHOOK_SECRET_FILE names .*, which is empty\)/);
  });

  it('never shows what is in the file', () => {
    const { problems, settings } = load({
      APONO_WEBHOOK_SECRET: '',
      APONO_WEBHOOK_SECRET_FILE: file('tab', 'ein geheimes\tWort, ganz geheim'),
      APONO_WEBHOOK_SECRET_PREVIOUS_FILE: file('short', 'hunter2'),
    });
    assert.equal(problems.length, 2);
    assert.doesNotMatch(JSON.stringify({ problems, settings }), /geheim|hunter2/);
  });

  it('into which the secret itself was pasted does not show it', () => {
    const { problems } = load({ APONO_WEBHOOK_SECRET: '', APONO_WEBHOOK_SECRET_FILE: secret });
    assert.equal(problems.length, 1);
    assert.ok(!JSON.stringify(problems).includes(secret));
  });
});

describe('paths', () => {
  it('that begin with ~ are refused: the shell would have replaced it', () => {
    for (const path of ['~', '~/data', '~operator/data', '~\\data']) {
      assert.match(problemsOf({ DATA_DIR: path })['DATA_DIR'] ?? '', /starts with ~, which a shell replaces/, path);
    }
    const certificate = { AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c', AZURE_CLIENT_CERTIFICATE_PATH: '~/client.pem' };
    assert.match(problemsOf(certificate)['AZURE_CLIENT_CERTIFICATE_PATH'] ?? '', /starts with ~/);
    const fromFile = { APONO_WEBHOOK_SECRET: undefined, APONO_WEBHOOK_SECRET_FILE: '~/secret' };
    assert.match(problemsOf(fromFile)['APONO_WEBHOOK_SECRET'] ?? '', /"~\/secret", which starts with ~/);
    const url = 'postgres://user@127.0.0.1/db?sslmode=verify-full&sslrootcert=~/ca.pem';
    assert.match(
      problemsOf({ OUTBOX_URL: url })['OUTBOX_URL'] ?? '',
      /"~\/ca.pem" as sslrootcert, which starts with ~/,
    );
    for (const path of ['./~/data', '/srv/~data', 'data~', 'a/~/b'])
      assert.deepEqual(problemsOf({ DATA_DIR: path }), {});
  });
});
