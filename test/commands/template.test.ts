import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { templateText } from '../../src/kinds/body-template.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { run } from './support.ts';

describe('template', () => {
  it('prints the template alone to stdout, and what else to enter to stderr', async () => {
    const { exitCode, stdout, stderr } = await run(['template']);
    assert.equal(exitCode, 0);
    assert.equal(stdout, templateText('request'));
    for (const trigger of ['Created', 'Approved', 'Rejected', 'Granted', 'Expired', 'Failed']) {
      assert.match(stderr, new RegExp(`\\bRequest${trigger}\\b`));
    }
    for (const part of [
      /POST/,
      /\/apono\/webhook/,
      /Authorization: Bearer/,
      /X-Webhook-Secret/,
      /30 seconds/,
      /\$\.data\.status = accepted, and \$\.data\.kind = request\n/,
      /duplicate/,
      /custom_fields/,
    ]) {
      assert.match(stderr, part);
    }
  });

  it('prints the variant with {{#each}}, and that it has to be tried', async () => {
    const { stdout, stderr } = await run(['template', '--each']);
    assert.equal(stdout, templateText('request', true));
    assert.match(stderr, /Test button/);
  });

  for (const { name, bodyTemplate } of kinds) {
    it(`--kind ${name} prints the template of that webhook, and where to send it`, async () => {
      const { exitCode, stdout, stderr } = await run(['template', '--kind', name]);
      assert.equal(exitCode, 0);
      assert.equal(stdout, templateText(name));
      assert.ok(stderr.includes(bodyTemplate.webhook));
      assert.match(stderr, new RegExp(`https://<your host>${bodyTemplate.path}\n`));
      assert.equal(/Triggers/.test(stderr), bodyTemplate.triggers !== undefined);
      assert.ok(stderr.includes(`$.data.status = accepted, and $.data.kind = ${name}\n`));
    });

    it(`--kind ${name}: the default uses no helper, and every value is in quotes`, () => {
      const text = templateText(name);
      assert.doesNotMatch(text, /\{\{\s*[#/^>!{]|@|\{\{\{/);
      for (const [, path] of text.matchAll(/\{\{(.*?)\}\}/g)) {
        assert.match(path ?? '', /^(event_type|event_time|data(\.[a-z_]+|\.\[\d\])+)$/);
      }
      assert.equal(typeof JSON.parse(text.replaceAll(/\{\{.*?\}\}/g, '')).data, 'object');
    });
  }

  it('prints the variant with {{#each}} of every kind that has one, and exits 2 for the other', async () => {
    for (const { name, bodyTemplate } of kinds) {
      const { exitCode, stdout, stderr } = await run(['template', '--kind', name, '--each']);
      const isMissing = bodyTemplate.eachNotes === undefined;
      assert.equal(exitCode, isMissing ? 2 : 0);
      assert.equal(stdout, isMissing ? '' : templateText(name, true));
      assert.match(stderr, isMissing ? new RegExp(`^--each: .*no more of kind ${name}`) : /Test button/);
    }
  });

  it('exits 2 for a kind that there is not, and lists those that there are', async () => {
    for (const kind of ['requests', '', '__proto__', 'REQUEST']) {
      const { exitCode, stdout, stderr } = await run(['template', '--kind', kind]);
      assert.equal(exitCode, 2, kind);
      assert.equal(stdout, '');
      assert.ok(stderr.includes(`Allowed choices are ${kinds.map(({ name }) => name).join(', ')}.\n`));
    }
  });
});
