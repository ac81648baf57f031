import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { heartbeatStream, startTestEmulator } from '../support/emulator.ts';
import { startService } from '../support/service.ts';
import { serviceEnv, serviceFiles } from '../support/service-process.ts';

test('a process sends its first row as soon as it runs, each start begins anew, and SIGTERM waits for none', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = { ...serviceEnv(emulator, await serviceFiles(t, emulator)), HEARTBEAT_INTERVAL_MINUTES: '1440' };
  const first = await startService(t, env);
  assert.equal((await first.post('{"event_type":"RequestGranted","event_time":1,"data":{"id":"r-1"}}')).status, 200);
  await emulator.waitFor(() => emulator.rowCount(heartbeatStream) === 1);
  await first.stop();

  const second = await startService(t, env);
  await emulator.waitFor(() => emulator.rowCount(heartbeatStream) === 2);
  await second.stop();
  const [one = {}, two = {}] = emulator.rows(heartbeatStream);
  assert.deepEqual([one['instance'], two['instance'], two['accepted']], [hostname(), hostname(), 0]);
  assert.ok(String(two['started_at']) > String(one['started_at']));

  emulator.plan({ target: 'ingest', stream: heartbeatStream, answer: { type: 'hang' } });
  const third = await startService(t, env);
  await emulator.waitFor(({ requests }) => requests.some(({ outcome }) => outcome === 'hung'));
  await third.stop();
  const messages = third.logs.map(({ message }) => message);
  assert.ok(!messages.includes('shutdown timed out') && !messages.includes('heartbeat failed'));
});
