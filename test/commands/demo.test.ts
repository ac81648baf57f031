import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import process from 'node:process';
import { describe, it } from 'node:test';
import { demoEvents } from '../../src/commands/demo-events.ts';
import { type Fault, faults } from '../../src/emulator/emulator.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { eventually } from '../support/eventually.ts';
import { mainFile, spawnCli } from './support.ts';

describe('demo --once', () => {
  it('sends events of every kind, prints the rows of every table, and exits 0', async () => {
    const { exitCode, stdout, stderr } = await spawnCli(['demo', '--once']);
    assert.equal(exitCode, 0, stderr);
    const events = demoEvents(0);
    const rows = events.reduce((sum, event) => sum + event.rows, 0);
    assert.equal(stdout.match(/^ {2}→ 200 \{"status":"accepted"/gm)?.length, events.length);
    assert.match(stdout, new RegExp(`^${rows} rows arrived at the emulated Azure:$`, 'm'));
    const [, ...tables] = stdout.split(/^(?=Apono\w+_CL$)/m);
    assert.deepEqual(
      tables.map((table) => table.split('\n')[0]),
      kinds.map(({ table }) => table.name),
    );
    const [requests = '', audit = '', anomalies = '', integrations = ''] = tables;
    assert.match(requests, /Granted .*zoe@example\.com .*orders .*SELECT/);
    assert.match(audit, /edit .*ana@example\.com .*access flow .*DBA on-call \(break glass\) .*\["approver_policy"\]/);
    assert.match(anomalies, /ApprovedAfterRejection .*High .*bob@example\.com .*Approved after it was rejected/);
    assert.match(integrations, /orders-prod .*Error .*Warning .*Schema billing was not found/);
    assert.doesNotMatch(stdout, /undefined|\[object/);
    for (const line of stdout.split('\n')) assert.ok(line.length <= 250, line);
  });
});

/** What the demo says of each fault, and what the service logs. */
const seen: Readonly<Record<Fault, readonly [RegExp, RegExp]>> = {
  '403': [
    /says "failing": \d+ waiting, \d+ held\n(?: {2}delivery_on_hold: .*\n)+ {2}Fix: .*Publisher/,
    /"role_missing"/,
  ],
  '429': [/says "ok": [1-9]\d* waiting, 0 held/, /"status":429.*"upload"/],
  down: [/says "ok": [1-9]\d* waiting, 0 held/, /"status":503.*"upload"/],
  lossy: [/\d+ rows arrived twice, each with the same row_id/, /"failure":"network"/],
  slow: [/says "ok": [1-9]\d* waiting, 0 held/, /^$/],
};

describe('demo --fault', () => {
  for (const fault of Object.keys(faults) as Fault[]) {
    it(`${fault} --once: shows it, ends it, and exits 0 when every row has arrived`, async () => {
      const { exitCode, stdout, stderr } = await spawnCli(['demo', '--once', '--fault', fault]);
      assert.equal(exitCode, 0, stderr);
      const [said, logged] = seen[fault];
      assert.match(stdout, said);
      assert.match(stderr, logged);
      assert.match(stdout, /^The fault is over\.\n\S+\/healthz says "ok": 0 waiting, 0 held$/m);
    });
  }

  it('stays without --once until it is ended as the demo says', async (t) => {
    const child = spawn(process.execPath, [mainFile, 'demo', '--fault', 'down'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    t.after(() => child.kill('SIGTERM'));
    const exited = once(child, 'exit');
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    await eventually(
      () => stdout.includes('Ctrl-C ends the demo.'),
      () => stdout,
    );
    assert.doesNotMatch(stdout, /^Apono\w+_CL$/m);
    const [, url = ''] = /To end it: curl -k -X POST (\S+)$/m.exec(stdout) ?? [];
    const asked = request(url, { method: 'POST', rejectUnauthorized: false, agent: false });
    asked.end();
    const [response]: IncomingMessage[] = await once(asked, 'response');
    response?.resume();
    assert.equal(response?.statusCode, 200);
    await eventually(
      () => kinds.every(({ table }) => stdout.includes(`\n${table.name}\n`)),
      () => stdout,
    );
    child.kill('SIGINT');
    assert.deepEqual(await exited, [0, null]);
  });
});
