import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { demoEvents } from '../../src/commands/demo-events.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { spawnCli } from './support.ts';

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
