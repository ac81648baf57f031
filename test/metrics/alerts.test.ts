import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertKnownMetrics } from './expressions.ts';
import { withoutPromtool } from './promtool.ts';

const rulesFile = fileURLToPath(new URL('../../docs/alerts.yml', import.meta.url));
const testFiles = ['alerts.test.yml', 'alerts-days.test.yml'].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
);
const handbook = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');

/** The address of an alarm's section. Where the docs are published stands in package.json; UPDATE_DOCS=1 copies it from there. */
function runbookUrl(alarm: string): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { homepage } = JSON.parse(manifest) as { readonly homepage: string };
  return `${homepage}/operations.md#${alarm.toLowerCase()}`;
}

if (process.env['UPDATE_DOCS'] !== undefined) {
  for (const file of [rulesFile, ...testFiles]) {
    const text = readFileSync(file, 'utf8');
    writeFileSync(
      file,
      text.replace(/\brunbook(?:_url)?: \S*#(\S+)/g, (_, alarm) => `runbook_url: ${runbookUrl(alarm)}`),
    );
  }
}

const rules = readFileSync(rulesFile, 'utf8')
  .split(/^ {6}- alert: /m)
  .slice(1);
const tests = testFiles.map((file) => readFileSync(file, 'utf8')).join('\n');

/** A value of a rule, folded into one line as YAML does with `>-`. */
function field(rule: string, name: string): string {
  const [, value = '', folded = ''] = new RegExp(`^ +${name}: (.*)\\n((?: {10,}\\S.*\\n)*)`, 'm').exec(rule) ?? [];
  return (value === '>-' ? folded : value).trim().replace(/\s+/g, ' ');
}

describe('docs/alerts.yml', () => {
  it('fires and does not fire as the files beside this one say', { skip: withoutPromtool() }, () => {
    const output = execFileSync('promtool', ['test', 'rules', ...testFiles], { encoding: 'utf8' });
    assert.equal(output.match(/SUCCESS/g)?.length, testFiles.length);
  });

  it('is valid to Prometheus', { skip: withoutPromtool() }, () => {
    const output = execFileSync('promtool', ['check', 'rules', rulesFile], { encoding: 'utf8' });
    assert.match(output, new RegExp(`SUCCESS: ${rules.length} rules found`));
  });

  it('has an alarm for each thing that an operator must know', () => {
    const names = new Set(rules.map((rule) => rule.split('\n')[0]));
    for (const name of [
      'OutboxOldestAge',
      'DeliveryHold',
      'DeadLetters',
      'Quarantine',
      'AuthenticationFailures',
      'WebhooksRefused',
      'OutboxNearLimit',
      'DiskNearlyFull',
      'NothingAccepted',
      'ServiceAbsent',
      'TokenRefreshFailing',
      'TokenExpiring',
      'CredentialExpiring',
      'HeartbeatFailing',
      'OutboxDamaged',
      'OutboxTrouble',
      'OutboxLogGrows',
    ]) {
      assert.ok(names.has(name), name);
    }
  });

  for (const rule of rules) {
    const name = rule.split('\n')[0] ?? '';
    const severity = field(rule, 'severity');
    it(`${name} (${severity}) names metrics that there are, a severity, texts and a section of the handbook`, () => {
      assertKnownMetrics(field(rule, 'expr'));
      assert.match(severity, /^(?:warning|critical)$/);
      assert.ok(field(rule, 'summary').length > 20);
      assert.ok(field(rule, 'description').length > 40);
      assert.match(handbook, new RegExp(`^#+ ${name}$`, 'm'));
    });

    it(`${name} (${severity}) links to its section of the published docs in runbook_url`, () => {
      assert.equal(field(rule, 'runbook_url'), runbookUrl(name), 'UPDATE_DOCS=1 makes it so');
      assert.match(field(rule, 'runbook_url'), /^https:\/\/[^\s{}]+$/);
    });

    it(`${name} (${severity}) has a test where it fires and one where it does not`, () => {
      const parts = tests.split(/^(?= {6}- (?:\{ )?eval_time:)/m).filter((part) => part.includes(`alertname: ${name}`));
      assert.ok(parts.some((part) => part.includes('exp_alerts: []')));
      assert.ok(parts.some((part) => part.includes(`severity: ${severity}`) || part.includes('*')));
    });
  }
});
