import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import process from 'node:process';
import { describe, it, type TestContext } from 'node:test';
import { demoEvents } from '../../src/commands/demo.ts';
import { type Fault, faults } from '../../src/emulator/emulator.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { type Run, type RunningCommand, run, startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { mainFile, spawnCli } from './support.ts';

describe('demo --once', () => {
  it('sends events of every kind, prints the rows of every table, exits 0, and takes nothing from the environment, neither settings nor a proxy', async () => {
    const proxy = { NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: 'http://127.0.0.1:9' };
    const { exitCode, stdout, stderr } = await spawnCli(['demo', '--once'], {
      ...proxy,
      PORT: 'x',
      AZURE_CLOUD: 'none',
    });
    assert.deepEqual([exitCode, stderr], [0, '']);
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
  lossy: [
    /\d+ rows arrived twice, each with the same row_id[\s\S]*^first .* Rejected [\s\S]*^again .* Rejected /m,
    /"failure":"network"/,
  ],
  refused: [
    /says "degraded": \d+ waiting, 0 held, 1 dead\n {2}dead_letters: [\s\S]*The dead letter v1\S+, code refused_by_azure/,
    /"status":400.*"upload"[\s\S]*"rows became dead letters"/,
  ],
  slow: [/says "ok": [1-9]\d* waiting, 0 held/, /^$/],
};

describe('demo --fault', () => {
  for (const fault of Object.keys(faults) as Fault[]) {
    it(`${fault} --once: shows it, ends it, and exits 0 when every row has arrived`, async () => {
      const { exitCode, stdout, stderr } = await run(['demo', '--once', '--fault', fault]);
      assert.equal(exitCode, 0, stderr);
      const [said, logged] = seen[fault];
      assert.match(stdout, said);
      assert.match(stderr, logged);
      assert.match(stdout, /^The fault is over\.\n\S+\/healthz says "ok": 0 waiting, 0 held$/m);
    });
  }

  it('stays without --once until it is ended as the demo says', async (t) => {
    // As a terminal does it: a process that gets SIGINT.
    const demo = await startDemo(t, 'down', startProcess);
    assert.doesNotMatch(demo.stdout(), /^Apono\w+_CL$/m);
    await demo.endFault();
    await eventually(() => kinds.every(({ table }) => demo.stdout().includes(`\n${table.name}\n`)), demo.stdout);
    await demo.end();
  });

  it('refused prints commands that work as they are printed, and the row arrives after the replay', async (t) => {
    const demo = await startDemo(t, 'refused');
    const printed = /^ {2}(?:- )?DATA_DIR=(\S+) ADMIN_PORT=(\d+) npm run --silent cli -- (.+)$/gm;
    const commands = [...demo.stdout().matchAll(printed)];
    assert.equal(commands.length, 3);
    async function runPrinted(index: number) {
      const [, dataDir = '', port = '', command = ''] = commands[index] ?? [];
      const { exitCode, stdout, stderr } = await run(command.split(' '), { DATA_DIR: dataDir, ADMIN_PORT: port });
      assert.equal(exitCode, 0, `${command}: ${stderr}`);
      return stdout;
    }
    assert.match(
      await runPrinted(0),
      /refused_by_azure +InvalidPayload: A row is of a rejected request[\s\S]*"Rejected"/,
    );
    assert.match(await runPrinted(2), /^v1\w+ +dead +request /m);
    await demo.endFault();
    assert.match(await runPrinted(1), /^v1\w+ +revived /m);
    await eventually(() => /^\S+ +Rejected /m.test(demo.stdout()), demo.stdout);
    await demo.end();
  });

  it('prints an event that is a duplicate when it is sent again', async (t) => {
    const demo = await startDemo(t);
    const [, url = '', secret = '', body] = /^ {2}curl -i (\S+) -H '([^']+)' -d '([^']+)'$/m.exec(demo.stdout()) ?? [];
    const send = async () => {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { authorization: secret.split(': ')[1] ?? '' },
        body: body ?? '',
      });
      return ((await answer.json()) as { duplicate: boolean }).duplicate;
    };
    assert.deepEqual([await send(), await send()], [false, true]);
    await demo.end();
  });
});

type Started = Pick<RunningCommand, 'stdout' | 'signal'> & { readonly ended: Promise<Pick<Run, 'exitCode'>> };

function startProcess(args: readonly string[]): Started {
  const child = spawn(process.execPath, [mainFile, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  return {
    stdout: () => stdout,
    signal: (name) => void child.kill(name),
    ended: once(child, 'exit').then(([exitCode]) => ({ exitCode })),
  };
}

const startHere = (args: readonly string[]): Started => startCommand(args, {});

/** Resolves when the demo has printed everything that it prints at its start. */
async function startDemo(t: TestContext, fault?: Fault, start: (args: string[]) => Started = startHere) {
  const demo = start(['demo', ...(fault === undefined ? [] : ['--fault', fault])]);
  t.after(() => demo.signal('SIGTERM'));
  const { stdout } = demo;
  await eventually(() => stdout().includes('Ctrl-C ends the demo.'), stdout);
  return {
    stdout,
    async endFault(): Promise<void> {
      const [, url = ''] = /To end it: curl -ksX POST (\S+)$/m.exec(stdout()) ?? [];
      const asked = request(url, { method: 'POST', rejectUnauthorized: false, agent: false });
      asked.end();
      const [response]: IncomingMessage[] = await once(asked, 'response');
      response?.resume();
      assert.equal(response?.statusCode, 200);
    },
    async end(): Promise<void> {
      demo.signal('SIGINT');
      assert.equal((await demo.ended).exitCode, 0);
    },
  };
}
