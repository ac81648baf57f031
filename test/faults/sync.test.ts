import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findDamaged } from '../../src/outbox/sqlite/set-aside.ts';
import { openSqliteFixture } from '../outbox/sqlite-fixture.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { serviceEnv, serviceFiles, spawnService, startServiceProcess } from '../support/service-process.ts';
import { seededRandom } from './support/random.ts';
import { idColumns } from './support/streams.ts';
import { eventsOf, postOnce, webhook } from './support/webhooks.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** Azure takes nothing, so that whatever is written to the log of the database was written for a webhook. */
async function startWithoutAzure(t: TestContext) {
  const emulator = await startTestEmulator(t, { streams: { [requestStream]: idColumns } });
  emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  const files = await serviceFiles(t, emulator);
  return { files, env: serviceEnv(emulator, files) };
}

interface Call {
  readonly name: 'write' | 'sync' | 'answer';
  readonly line: string;
}

/**
 * What a trace tells of the log and of answers, in order. With -f, strace writes a call that another thread overtakes as
 * `… <unfinished ...>` and `<... name resumed>…`; an answer counts from its begin, a sync from its end.
 */
function readTrace(text: string): Call[] {
  const unfinished = new Map<string, string>();
  const calls: Call[] = [];
  for (const line of text.split('\n')) {
    const [, thread = '', call = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const begun = unfinished.get(thread) ?? '';
    if (call.endsWith('<unfinished ...>')) unfinished.set(thread, call);
    else unfinished.delete(thread);
    const resumed = call.startsWith('<...');
    const subject = resumed ? begun : call;
    if (/^p?write(v|64)?\(|^sendto\(|^sendmsg\(/.test(subject) && subject.includes('HTTP/1.1 200')) {
      if (!resumed) calls.push({ name: 'answer', line });
    } else if (/^f(data)?sync\(/.test(subject) && subject.includes('outbox.db-wal')) {
      if (/= 0$/.test(call)) calls.push({ name: 'sync', line });
    } else if (/^pwrite/.test(subject) && subject.includes('outbox.db-wal')) {
      calls.push({ name: 'write', line });
    }
  }
  return calls;
}

test('a 200 is written after the sync of the log has returned, for every webhook', async (t) => {
  if (spawnSync('strace', ['-V']).status !== 0) return t.skip('strace is missing');
  const { files, env } = await startWithoutAzure(t);
  const traceFile = path.join(files.folder, 'trace');
  const traced = 'trace=fsync,fdatasync,write,writev,pwrite64,sendto,sendmsg';
  const args = ['-f', '-y', '-s', '48', '-o', traceFile, '-e', traced, process.execPath, MAIN, 'serve'];
  const service = spawnService(t, env, { command: 'strace', args });
  const started = await Promise.race([service.ready, service.exited]);
  if (!('port' in started)) {
    return t.skip(`a process cannot be traced here: ${JSON.stringify(service.logs.slice(0, 2))}`);
  }
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const webhooks = 30;
  for (let n = 0; n < webhooks; n++) {
    assert.equal((await postOnce(agent, started.port, webhook(`traced-${n}`))).status, 200);
  }
  process.kill(-Number(service.child.pid), 'SIGTERM');
  await service.exited;

  const calls = readTrace(readFileSync(traceFile, 'utf8'));
  let answers = 0;
  let written = 0;
  let isSynced = false;
  for (const { name, line } of calls) {
    if (name === 'write') {
      written++;
      isSynced = false;
    } else if (name === 'sync') {
      isSynced = true;
    } else {
      assert(written > 0, `nothing was written to the log before this answer: ${line}`);
      assert(isSynced, `the log was not synced before this answer: ${line}`);
      answers++;
      written = 0;
      isSynced = false;
    }
  }
  assert.equal(answers, webhooks);
});

test('whatever a power cut loses behind the last sync, every acknowledged event is there', async (t) => {
  const { files, env } = await startWithoutAzure(t);
  const service = await startServiceProcess(t, env);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const wal = path.join(files.dataDir, 'outbox.db-wal');
  /** Each answer, and how far the log reached when it came: all of that was synced. */
  const answered: { readonly eventId: string; readonly walBytes: number }[] = [];
  for (let n = 0; n < 40; n++) {
    const answer = await postOnce(agent, service.port, webhook(`cut-${n}`, 1 + (n % 7)));
    assert.equal(answer.status, 200);
    const walBytes = statSync(wal).size;
    // The first prune folds the log in and starts it anew: what was answered before is in the database then.
    if (walBytes < (answered.at(-1)?.walBytes ?? 0)) answered.length = 0;
    answered.push({ eventId: eventsOf(answer)[0]?.event_id ?? assert.fail(), walBytes });
  }
  service.child.kill('SIGKILL');
  await service.exited;
  assert(answered.length > 20, 'the log was not folded in all the while');
  const whole = readFileSync(wal);

  const root = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-cut-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  /** The events that are there when the log is as given. */
  async function reopenWith(log: Uint8Array): Promise<Set<string>> {
    const dataDir = path.join(root, 'data');
    rmSync(dataDir, { recursive: true, force: true });
    mkdirSync(dataDir);
    cpSync(path.join(files.dataDir, 'outbox.db'), path.join(dataDir, 'outbox.db'));
    writeFileSync(path.join(dataDir, 'outbox.db-wal'), log);
    const fixture = await openSqliteFixture({ dataDir });
    try {
      assert.equal(findDamaged(dataDir), null);
      const { events, calls } = await fixture.outbox.claim({ kind: 'request', maxBytes: 1_000_000_000 });
      for (const { text } of calls) assert.ok(Array.isArray(JSON.parse(text)));
      return new Set(events.map(({ eventId }) => eventId));
    } finally {
      await fixture.cleanup();
    }
  }

  const { seed, next } = seededRandom();
  for (let round = 0; round < 25; round++) {
    const last = Math.floor(next() * answered.length);
    const syncedBytes = answered[last]?.walBytes ?? assert.fail();
    // A commit is synced before the next one is begun, so that what is not synced is one transaction at most.
    const writtenBytes = answered[last + 1]?.walBytes ?? whole.length;
    const cutAt = syncedBytes + Math.floor(next() * (writtenBytes - syncedBytes + 1));
    const cut = Buffer.from(whole.subarray(0, cutAt));
    // A disk may also have written later pages before earlier ones, or half of one.
    const tornFrom = syncedBytes + Math.floor(next() * (cutAt - syncedBytes + 1));
    cut.fill(0, tornFrom, Math.min(cutAt, tornFrom + Math.floor(next() * 9_000)));
    const there = await reopenWith(cut);
    for (const { eventId } of answered.slice(0, last + 1)) {
      assert(there.has(eventId), `${eventId} was acknowledged; cut at ${cutAt}, torn from ${tornFrom}, seed ${seed}`);
    }
  }

  // That the cuts do bite: without the last byte that was synced for it, an event is gone.
  const { eventId, walBytes } = answered.at(-1) ?? assert.fail();
  assert.equal((await reopenWith(whole.subarray(0, walBytes - 1))).has(eventId), false);
});
