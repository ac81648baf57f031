import assert from 'node:assert/strict';
import { test } from 'node:test';
import { post, secret, send } from '../http/edge.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { isLong } from './support/random.ts';

/** MAX_BODY_BYTES by default, with room for what stands around. */
const maxBytes = 5_242_880 - 500;

const event = (data: string, time = '1763719200') =>
  `{"event_type":"RequestGranted","event_time":${time},"data":${data}}`;

/** So many of a piece, with commas between, that the body is as large as can be. */
const fill = (piece: string) =>
  Array(Math.floor(maxBytes / (piece.length + 1)))
    .fill(piece)
    .join(',');

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
  const { port, ...service } = await startServiceProcess(t, { ...env, APONO_WEBHOOK_SECRET: secret });
  const parseMs = timeOfParse(bodies['wide lists']?.() ?? '');

  for (const [name, make] of Object.entries(bodies)) {
    if (!isLong && !short.includes(name)) continue;
    const body = make();
    assert.ok(body.length <= maxBytes + 500, `${name}: ${body.length}`);
    let answered = false;
    const startedAt = performance.now();
    const answer = post(port, body).finally(() => {
      answered = true;
    });
    let longestMs = 0;
    while (!answered) {
      const askedAt = performance.now();
      assert.equal((await send(port, { method: 'GET', path: '/livez' })).status, 200);
      longestMs = Math.max(longestMs, performance.now() - askedAt);
    }
    const { status, text } = await answer;
    assert.equal(status, 200, `${name}: ${text.slice(0, 500)}`);
    const totalMs = performance.now() - startedAt;
    t.diagnostic(
      `${name}: ${(body.length / 1e6).toFixed(1)} MB, answered in ${totalMs.toFixed(0)} ms, /livez in at most ` +
        `${longestMs.toFixed(0)} ms, ${(longestMs / parseMs).toFixed(1)} times JSON.parse of wide lists`,
    );
    // A wrong algorithm is off by hundreds; this holds on a machine that has other things to do too.
    assert.ok(longestMs < 30 * parseMs + 2_000, `${name}: /livez took ${longestMs} ms, JSON.parse ${parseMs} ms`);
  }
  assert.equal(emulator.rowCount(requestStream), 0);
  assert.equal(service.child.exitCode, null);
});

function timeOfParse(text: string): number {
  const startedAt = performance.now();
  JSON.parse(text);
  return performance.now() - startedAt;
}
