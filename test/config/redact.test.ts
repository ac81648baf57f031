import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeConfig } from '../../src/config/config.ts';
import { load, secret } from './support.ts';

function describeAll(extra: Readonly<Record<string, string>>) {
  const { config, settings } = load(extra);
  assert.ok(config !== null);
  return new Map(describeConfig(config, settings).map((line) => [line.name, line]));
}

describe('the redacted print', () => {
  it('shows the length of a secret and nothing else of it', () => {
    const lines = describeAll({ AZURE_CLIENT_SECRET: 'abc', AZURE_TENANT_ID: 'contoso.com', AZURE_CLIENT_ID: 'app-1' });
    assert.deepEqual(lines.get('APONO_WEBHOOK_SECRET'), {
      name: 'APONO_WEBHOOK_SECRET',
      value: `set (${secret.length} characters)`,
      from: 'environment',
    });
    assert.equal(lines.get('AZURE_CLIENT_SECRET')?.value, 'set (3 characters)');
    assert.equal(lines.get('credential')?.value, 'client secret of app-1');
    assert.equal(lines.get('authority')?.value, 'https://login.microsoftonline.com');
  });

  it('tells what is set from what is a default and what is nothing', () => {
    const lines = describeAll({ PORT: '8080' });
    assert.equal(lines.get('PORT')?.from, 'environment');
    assert.equal(lines.get('HOST')?.from, 'default');
    assert.deepEqual(lines.get('ADMIN_TOKEN'), { name: 'ADMIN_TOKEN', value: '', from: 'not set' });
    assert.equal(lines.get('credential')?.value, 'system-assigned managed identity');
  });
});
