import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import stringWidth from 'string-width';
import { runCli } from '../../src/commands/cli.ts';
import type { CommandContext } from '../../src/commands/context.ts';
import { send } from '../http/edge.ts';
import { auditEvent } from '../kinds/audit-bodies.ts';
import { eventually } from '../support/eventually.ts';
import { adminToken, type Env, healthOf, idOf, jsonOf, settled, startRunning, units } from './outbox-fixture.ts';
import { startStandIn } from './stand-in.ts';
import { mainFile, run } from './support.ts';

const linesOf = (text: string): string[] => text.trimEnd().split('\n');

/** `status --watch` as a process; it is killed after the test. */
function watch(t: TestContext, env: Env, ...args: string[]) {
  const child = spawn(process.execPath, [mainFile, 'status', '--watch', '--interval', '1', ...args], {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  t.after(() => {
    child.kill('SIGKILL');
    return exited;
  });
  const lines: string[] = [];
  const errors: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  createInterface({ input: child.stderr }).on('line', (line) => errors.push(line));
  return { child, exited, lines, errors };
}

describe('status', () => {
  it('says in 80 columns that all is well, what came and went, and which trigger was not seen yet', async (t) => {
    const { service, env } = await startRunning(t);
    await idOf(await service.post(units('a')));
    await settled(service, 0);
    const { exitCode, stdout, stderr } = await run(['status'], env);
    assert.deepEqual([exitCode, stderr], [0, '']);
    assert.match(stdout, /^All is well\. Everything that Apono sent has reached Sentinel\.\n/);
    assert.match(stdout, /WAITING +HELD +DEAD +QUARANTINED +OLDEST WAITS\n0 +0 +0 +0 +0 s\n/);
    assert.match(stdout, /\nRows accepted {50,}█ +4\nRows delivered {50,}█ +4\nRefused {57,}▁ +0\n/);
    assert.match(stdout, /\nrequest +delivering +0 +\d{4}-\S+Z +\d{4}-\S+Z\n/);
    assert.match(stdout, /\naudit +idle +0 +not since the start +not since the start\n/);
    assert.match(stdout, /\nrequest +Granted +\d{4}-\S+Z +\d{4}-\S+Z\nrequest +Expired +not seen yet +not yet\n/);
    assert.doesNotMatch(stdout, /Manual|Other/, 'nobody is to switch these on');
    assert.match(stdout, /\nWebhook secret in use since \d{4}-\S+Z\n/);
    assert.deepEqual(
      linesOf(stdout).filter((line) => stringWidth(line) > 80),
      [],
    );
  });

  it('names two holds with the fix that they share, once and whole, and exits 1 as /healthz answers 503', async (t) => {
    const { service, emulator, env } = await startRunning(t);
    emulator.setPublisherRole(false);
    await idOf(await service.post(units('a')));
    await idOf(await service.post(JSON.stringify(auditEvent())));
    await eventually(async () => (await healthOf(service))['held'] === 2);
    await service.post('no json', { authorization: 'Bearer wrong' });
    const { exitCode, stdout } = await run(['status'], env);
    assert.equal(exitCode, 1);
    assert.match(stdout, /^2 things need attention\.\n/);
    const streams = 'Custom-AponoAccessRequests_CL, Custom-AponoAuditLogs_CL';
    const hold = `! 2 streams are on hold: ${streams}\\. .*Azure answered 403.*\\(delivery_on_hold\\)`;
    const said = stdout.replaceAll(/\n {2}/g, ' ');
    assert.match(said, new RegExp(`\\n${hold} Give .*the role "Monitoring Metrics Publisher"`));
    for (const once of ['is on hold', 'are on hold', 'Give the service']) {
      assert.ok((said.match(new RegExp(once, 'g'))?.length ?? 0) <= 1, once);
    }
    assert.match(stdout, /\nrequest +on hold +1 /);
    assert.match(
      stdout,
      /Refused within the last hour\nREQUESTS +CODE +LAST +FROM\n1 +secret_wrong +\d\d:\d\dZ +127\.0\.0\.1\n/,
    );
    assert.deepEqual(
      linesOf(stdout).filter((line) => stringWidth(line) > 80),
      [],
    );
  });

  it('never says that all is well while Azure takes nothing, and what it answers; a stream that is off is off', async (t) => {
    const { service, emulator, env } = await startRunning(t, { LOGS_INGESTION_STREAM_ANOMALY: 'off' });
    const answer = { type: 'status', status: 429, headers: { 'retry-after': '600' } } as const;
    emulator.plan({ target: 'ingest', times: 'forever', answer });
    await idOf(await service.post(units('a')));
    await eventually(() => service.logs.some(({ message }) => message === 'delivery will be tried again'));
    const { exitCode, stdout } = await run(['status'], env);
    const at = String.raw`\d\d:\d\d:\d\dZ`;
    assert.match(stdout, new RegExp(`^1 event waits: Azure answers 429\\. Tried since ${at}, next at ${at}\\.\\n`));
    assert.equal(exitCode, 0);
    assert.match(stdout, /\nrequest +trying again +1 /);
    assert.match(stdout, /\nanomaly +off +0 /);
    const health = await send(service.port, { method: 'GET', path: '/healthz?fail=degraded' });
    assert.deepEqual([health.status, health.json['status'], health.json['problems']], [200, 'ok', []]);
    const [retrying] = health.json['retrying'] as Record<string, unknown>[];
    assert.deepEqual(Object.keys(retrying ?? {}).sort(), ['answer', 'kind', 'next_try_at', 'since', 'stream']);
    await service.post('no json');
    assert.match((await run(['status'], env)).stdout, /^1 thing needs attention\. 1 event waits: Azure answers 429\./);
  });

  it('says how many refusals it does not list', async (t) => {
    const { service, env } = await startRunning(t, { TRUST_PROXY: 'loopback' });
    for (let host = 1; host <= 13; host++) {
      const headers = { authorization: 'Bearer wrong', 'x-forwarded-for': `203.0.113.${host}` };
      await service.post('{}', headers);
    }
    const { stdout } = await run(['status'], env);
    assert.equal(stdout.match(/secret_wrong +\d\d:\d\dZ +203/g)?.length, 10);
    assert.match(stdout, /\n… and 3 more\n/);
  });

  it('prints with --json what the admin API answers', async (t) => {
    const { service, env } = await startRunning(t, { ADMIN_TOKEN: adminToken });
    const result = await run(['status', '--json'], env);
    assert.equal(result.exitCode, 0);
    const headers = { authorization: `Bearer ${adminToken}` };
    const answer = await send(service.adminPort, { method: 'GET', path: '/admin/v1/status', headers });
    assert.deepEqual(Object.keys(jsonOf(result)), Object.keys(JSON.parse(answer.text)));
    const { ADMIN_TOKEN: _, ...without } = env as Record<string, string>;
    const refused = await run(['status'], without);
    assert.deepEqual([refused.exitCode, refused.stdout], [1, '']);
    assert.match(refused.stderr, /^admin_refused: .* 401, token_missing: .*Give this command the ADMIN_TOKEN/);
  });

  it('exits 1 when nobody or somebody else answers, and 2 for a wrong configuration', async (t) => {
    const foreign = await startStandIn(t, (_request, response) => response.end('{"status":"success"}'));
    const nobody = await run(['status'], { ADMIN_PORT: '1' });
    assert.deepEqual([nobody.exitCode, nobody.stdout], [1, '']);
    assert.match(nobody.stderr, /^admin_unreachable: nothing answers at http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/);
    const other = await run(['status'], { ADMIN_PORT: String(foreign) });
    assert.equal(other.exitCode, 1);
    assert.match(other.stderr, /^admin_foreign: /);
    assert.equal((await run(['status'], { ADMIN_PORT: 'x' })).exitCode, 2);
    assert.equal((await run(['status', '--interval', '0'], {})).exitCode, 2);
  });

  it('repeats itself with --watch, also while the service is away, until Ctrl-C ends it in order', async (t) => {
    const { service, env } = await startRunning(t);
    const { child, exited, lines, errors } = watch(t, env);
    const count = (what: string): number => lines.filter((line) => line.includes(what)).length;
    await eventually(() => count('All is well. No event has come') >= 2);
    assert.ok(!lines.join('').includes('\u001b'), 'no control sequences where there is no terminal');
    await idOf(await service.post(units('a')));
    await eventually(() => count('Everything that Apono sent') > 0);
    await service.stop();
    await eventually(() => errors.some((line) => /admin_unreachable/.test(line)));
    child.kill('SIGINT');
    assert.deepEqual(await exited, [0, null]);
  });

  it('writes over what was there on a terminal, of which nothing scrolls away, and keeps it while the service is away', async (t) => {
    const { env, emulator, service } = await startRunning(t);
    emulator.setPublisherRole(false);
    for (const body of [units('a'), JSON.stringify(auditEvent())]) await idOf(await service.post(body));
    await service.post('no json');
    await service.post('no json', { authorization: 'Bearer wrong' });
    await eventually(async () => (await healthOf(service))['held'] === 2);
    const texts: string[] = [];
    let stopped: Promise<void> | null = null;
    let interrupt = (_signal: 'SIGINT'): void => {};
    const context: CommandContext = {
      env,
      version: '1.2.3',
      stdout: {
        isTTY: true,
        // A terminal that does not know its size says 0 at first.
        get columns() {
          return texts.length === 0 ? 0 : 60;
        },
        get rows() {
          return texts.length === 0 ? 0 : 24;
        },
        write(text) {
          const count = texts.push(text);
          if (count === 2) stopped = service.stop();
          else if (/admin_unreachable/.test(text)) interrupt('SIGINT');
        },
      },
      stderr: { write: (text) => assert.fail(text) },
      onSignal(listener) {
        interrupt = listener;
      },
      exitNow: (code) => assert.fail(`exitNow(${code})`),
    };
    assert.equal(await runCli(['status', '--watch', '--interval', '1'], context), 0);
    await stopped;
    assert.ok(texts.length >= 3);
    for (const [index, text] of texts.entries()) {
      const lines = text.replaceAll('\u001b', 'ESC').split('\n');
      const isAway = /admin_unreachable/.test(text);
      assert.match(
        lines[0] ?? '',
        isAway ? /^ESC\[H\d{4}-.*admin_unreachable/ : /^ESC\[H\d things need attention.*ESC\[K$/,
      );
      assert.ok(lines.slice(0, -1).every((line) => line.endsWith('ESC[K')));
      assert.equal(lines.at(-1), 'ESC[J');
      assert.equal(lines.length, 24, 'the cursor stands in the last row');
      assert.deepEqual(
        lines.filter((line) => stringWidth(line.replaceAll(/ESC\[[HKJ]/g, '')) > (index === 0 ? 80 : 60)),
        [],
      );
      assert.match(text, /\n0 +2 +0 +1 /, `the counts, ${index}`);
      for (const line of [/! 2 streams are on hold/, /! 1 body is/, /! 1 webhook was/, /\nrequest +on hold/]) {
        assert.match(text, line);
      }
      if (!isAway) assert.match(text, /\nToken ends/, 'what is now comes before what was');
      assert.match(text, /\n… \d+ more lines: enlarge the window/);
    }
  });

  it('prints one line of JSON each time with --watch --json', async (t) => {
    const { env } = await startRunning(t);
    const { lines } = watch(t, env, '--json');
    await eventually(() => lines.length >= 2);
    for (const line of lines) assert.equal(JSON.parse(line).health.status, 'ok');
  });
});
