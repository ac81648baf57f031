import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { post, type Reply, secret } from '../http/edge.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { startService } from '../support/service.ts';
import { serviceEnv, serviceFiles } from '../support/service-process.ts';
import { isLong } from './support/random.ts';

/** MAX_BODY_BYTES by default, with room for what stands around. */
const maxBytes = 5_242_880 - 500;

const event = (data: string, time = '1763719200') =>
  `{"event_type":"RequestGranted","event_time":${time},"data":${data}}`;

/** So many of a piece, with commas between, that the body is as large as can be, or holds as many values as it may. */
const fill = (piece: string) => {
  const values = 1 + (piece.match(/[[{,]/g)?.length ?? 0);
  return Array(Math.floor(Math.min(maxBytes / (piece.length + 1), 299_000 / values)))
    .fill(piece)
    .join(',');
};

const unit = (text: string) =>
  `{"resource":{"id":"r","name":"${text}","type":{"id":"t"}},"permission":{"id":"p","name":"read"}}`;
const units = (count: number, text: string) =>
  `{"access_groups":[{"access_units":[${Array(count).fill(unit(text)).join(',')}]}]}`;

/** The largest that the contract takes, each of the shape that costs the most for its size. */
const bodies: Readonly<Record<string, () => string>> = {
  'wide lists': () => event(`{"unknown":[${fill('{}')}]}`),
  'deep lists': () => event(`{"unknown":[${fill('['.repeat(60) + ']'.repeat(60))}]}`),
  numbers: () => event(`{"unknown":[${fill('1')}],"id":12345678901234567890}`),
  'numbers that no double holds': () => event(`{"unknown":[${fill('12345678901234567890')}]}`),
  'one long text': () => event(`{"justification":"${'é'.repeat(maxBytes / 2)}"}`),
  'custom fields': () =>
    event(`{"custom_fields":{${Array.from({ length: 250_000 }, (_, index) => `"key ${index}":1`).join(',')}}}`),
  approvals: () => event(`{"approvals":[${fill('{"approver":{"email":"nobody"}}')}]}`),
  '10,000 units': () => event(units(10_000, 'x'.repeat(380))),
  'five events of 1,000 units': () =>
    `[${Array(5)
      .fill(event(units(1_000, 'x'.repeat(800))))
      .join(',')}]`,
  '50,000 events': () => `[${Array.from({ length: 50_000 }, (_, id) => event(`{"id":${id}}`)).join(',')}]`,
  'a template’s entities and backslashes': () =>
    event(`{"justification":"${'&amp;&#x27;\\ '.repeat(maxBytes / 13)}"}`, '"1763719200"'),
  'a template’s empty texts': () => event(`{"unknown":[${fill('""')}]}`, '"1763719200"'),
};

/** Those that were once the slowest; the others are for LONG=1. */
const short = ['wide lists', 'deep lists', '10,000 units', '50,000 events', 'a template’s entities and backslashes'];

test('while the largest bodies are taken, other requests wait for a bounded time', async (t) => {
  const emulator = await startTestEmulator(t);
  // What is delivered meanwhile is another matter.
  emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503 } });
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const { port } = await startService(t, { ...env, APONO_WEBHOOK_SECRET: secret });

  for (const [name, make] of Object.entries(bodies)) {
    if (!isLong && !short.includes(name)) continue;
    const body = make();
    assert.ok(body.length <= maxBytes + 500, `${name}: ${body.length}`);
    let answered = false;
    const answer = postUntilTaken(port, body).finally(() => {
      answered = true;
    });
    let probes = 0;
    for (; !answered; probes++) {
      // A wrong algorithm keeps the thread for minutes; a limit that is this generous says nothing about the machine.
      const probe = await fetch(`http://127.0.0.1:${port}/livez`, { signal: AbortSignal.timeout(60_000) });
      assert.equal(probe.status, 200, name);
      await pause(25);
    }
    const { status, text } = await answer;
    assert.equal(status, 200, `${name}: ${text.slice(0, 500)}`);
    t.diagnostic(`${name}: ${(body.length / 1e6).toFixed(1)} MB, ${probes} times /livez until it was answered`);
  }
  assert.equal(emulator.rowCount(requestStream), 0);
});

/** Sends it again where a slow machine needed more than the 30 s that the outbox may take: then it is a duplicate. */
async function postUntilTaken(port: number, body: string): Promise<Reply> {
  for (;;) {
    const reply = await post(port, body);
    if (reply.json['code'] !== 'outbox_timeout') return reply;
  }
}

test('bodies of more values than an event has are refused before they are parsed, however many come at once', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const { port } = await startService(t, { ...env, APONO_WEBHOOK_SECRET: secret });
  const lists = `[${'[],'.repeat(maxBytes / 3 - 2)}[]]`;
  const answers = await Promise.all([lists, lists, lists.replaceAll('[]', '{}')].map((body) => post(port, body)));
  for (const { status, json } of answers) {
    assert.equal(status, 422);
    assert.equal(json['code'], 'too_many_values');
    assert.equal(json['quarantined'], true);
    assert.deepEqual(json['errors'], [{ path: '', message: 'holds more than 300000 values' }]);
  }
});
