import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestStream } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startFleet } from './support/fleet.ts';
import { proxyKinds } from './support/proxies.ts';
import { isLong } from './support/random.ts';
import { webhook } from './support/webhooks.ts';

const missing = proxyKinds.find(({ name }) => name === 'nginx')?.missing ?? 'no nginx among the proxies';

test('a replica that comes back late sends nothing more of an event that another one took over', {
  skip: !isLong ? 'LONG=1' : missing,
}, async (t) => {
  const fleet = await startFleet(t);
  const { emulator } = fleet;
  fleet.setAzureDelay(1_000);
  const units = 9_000;
  const answer = await fleet.replica(0).service.post(webhook('large', units));
  assert.equal(answer.status, 200, await answer.clone().text());
  await eventually(
    () => emulator.requests.filter(({ kind, outcome }) => kind === 'ingest' && outcome === 'pending').length >= 4,
  );
  let index = 0;
  for (const i of [0, 1, 2]) if ((await fleet.heldBy(fleet.replica(i))).length > 0) index = i;
  const a = fleet.replica(index);
  a.way.cut();
  const refused = await a.service.post(webhook('x'));
  assert.equal(refused.status, 503);
  const before = emulator.rowCount(requestStream);
  await fleet.endLease(a);
  await fleet.drained();
  const after = emulator.rowCount(requestStream);
  await a.way.heal();
  for (const i of [0, 1, 2].filter((i) => i !== index)) fleet.replica(i).service.child.kill('SIGSTOP');
  await eventually(async () => (await fetch(a.service.url('/readyz'))).status === 200);
  await a.service.post(webhook('y'));
  await fleet.drained();
  for (const i of [0, 1, 2].filter((i) => i !== index)) fleet.replica(i).service.child.kill('SIGCONT');
  const total = emulator.rowCount(requestStream);
  t.diagnostic(
    `sent by the first before it was cut off: ${before}, with what the other sent: ${after}, at the end: ${total}`,
  );
  assert.equal(total, after + 1);
});
