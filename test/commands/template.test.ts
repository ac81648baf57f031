import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eachTemplate, unrolledTemplate } from '../../src/apono/body-template.ts';
import { run, spawnCli } from './support.ts';

describe('template', () => {
  it('prints the template alone to stdout, and what else to enter to stderr', async () => {
    const { exitCode, stdout, stderr } = await spawnCli(['template']);
    assert.equal(exitCode, 0);
    assert.equal(stdout, unrolledTemplate());
    for (const trigger of ['Created', 'Approved', 'Rejected', 'Granted', 'Expired', 'Failed']) {
      assert.match(stderr, new RegExp(`\\bRequest${trigger}\\b`));
    }
    for (const part of [
      /POST/,
      /\/apono\/webhook/,
      /Authorization: Bearer/,
      /X-Webhook-Secret/,
      /30 seconds/,
      /\$\.data\.status = accepted/,
      /duplicate/,
      /custom_fields/,
    ]) {
      assert.match(stderr, part);
    }
  });

  it('prints the variant with {{#each}}, and that it has to be tried', async () => {
    const { stdout, stderr } = await run(['template', '--each']);
    assert.equal(stdout, eachTemplate());
    assert.match(stderr, /Test button/);
  });

  it('prints JSON with template and settings', async () => {
    const { stdout, stderr } = await run(['template', '--json']);
    const { template, settings, notes } = JSON.parse(stdout);
    assert.equal(template, unrolledTemplate());
    assert.equal(settings.triggers.length, 6);
    assert.deepEqual(settings.response_validators, [{ json_path: '$.data.status', expected_values: ['accepted'] }]);
    assert.ok(notes.length > 0);
    assert.equal(stderr, '');
  });
});
