import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { describe, test } from 'node:test';
import { manualClock } from '../support/manual-clock.ts';
import { bearer, condition, count, head, heldReceiver, openRaw, post, send, startEdge, webhook } from './edge.ts';

describe('stop', () => {
  test('requests in flight are answered with Connection: close, connections without one end after a second', async () => {
    const held = heldReceiver();
    const clock = manualClock();
    const edge = await startEdge({ clock, receive: held.receive });
    const idle = openRaw(edge.port);
    idle.socket.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
    await idle.until(/alive/);
    const unused = openRaw(edge.port);
    const busy = openRaw(edge.port);
    busy.socket.write(webhook);
    const half = openRaw(edge.port);
    half.socket.write(head(['Content-Length: 2', 'Expect: 100-continue']));
    await half.until(/100 Continue/);
    await condition(() => held.waiting === 1);
    let done = false;
    const stopped = edge.server.stop(60_000).then(() => {
      done = true;
    });
    await assert.rejects(post(edge.port, '{}'), { code: 'ECONNREFUSED' });
    half.socket.write('{}');
    await condition(() => held.waiting === 2);
    clock.advance(999);
    assert.equal(idle.socket.destroyed || unused.socket.destroyed, false);
    clock.advance(1);
    await Promise.all([idle.closed, unused.closed]);
    assert.equal(done, false);
    held.release();
    await Promise.all([busy.closed, half.closed, stopped]);
    for (const { text } of [busy, half]) {
      assert.match(text(), /HTTP\/1\.1 200 [\s\S]*"rows":1/);
      assert.match(text(), /Connection: close/i);
      assert.doesNotMatch(text(), /keep-alive/i);
    }
  });

  test('a webhook that a proxy sends on a connection that it kept is taken, and its answer ends the connection', async () => {
    const clock = manualClock();
    const edge = await startEdge({ clock });
    const [kept, opened] = [openRaw(edge.port), openRaw(edge.port)];
    kept.socket.write(webhook);
    await kept.until(/\}\}$/);
    // Behind a round trip the other connection has been taken too.
    await send(edge.port, { method: 'GET', path: '/livez' });
    const stopped = edge.server.stop(60_000);
    for (const { socket } of [kept, opened]) socket.write(webhook);
    await Promise.all([kept.closed, opened.closed, stopped]);
    for (const [raw, answers] of [
      [kept, 2],
      [opened, 1],
    ] as const) {
      assert.equal(count(raw.text(), /HTTP\/1\.1 200 /g), answers);
      assert.equal(count(raw.text(), /Connection: close/gi), 1);
    }
    assert.equal(clock.timerCount, 0);
  });

  test('a webhook that comes when that second is over is 503, and health says that it is not ready', async () => {
    const held = heldReceiver();
    const clock = manualClock();
    const edge = await startEdge({ clock, receive: held.receive });
    const raw = openRaw(edge.port);
    raw.socket.write(webhook);
    const probe = openRaw(edge.port);
    probe.socket.write('GET /readyz HTTP/1.1\r\nHost: ');
    await condition(() => held.waiting === 1);
    // Behind a round trip the half request has been read too. Neither connection is idle, so both stay.
    await send(edge.port, { method: 'GET', path: '/livez' });
    const stopped = edge.server.stop(60_000);
    probe.socket.write('a\r\n\r\n');
    await probe.closed;
    clock.advance(1_000);
    raw.socket.write(webhook);
    await condition(() => edge.records.some(({ code }) => code === 'stopping'));
    held.release();
    await Promise.all([stopped, raw.closed, probe.closed]);
    assert.match(raw.text(), /^HTTP\/1\.1 200 [\s\S]*\}\}HTTP\/1\.1 503 [\s\S]*Connection: close[\s\S]*"stopping"/);
    assert.match(raw.text(), /Retry-After: [1-9]/);
    assert.match(probe.text(), /^HTTP\/1\.1 503 [\s\S]*Connection: close[\s\S]*stopping/);
    assert.doesNotMatch(probe.text(), /starting/);
    assert.equal(edge.received.length, 1);
  });

  test('pipelined webhooks in flight are all answered', async () => {
    const held = heldReceiver();
    const edge = await startEdge({ receive: held.receive });
    const raw = openRaw(edge.port);
    raw.socket.write(webhook.repeat(5));
    await condition(() => held.waiting === 5);
    const stopped = edge.server.stop(60_000);
    held.release();
    await Promise.all([stopped, raw.closed]);
    assert.equal(count(raw.text(), /HTTP\/1\.1 200 /g), 5);
    assert.equal(count(raw.text(), /Connection: close/gi), 1);
  });

  test('what is left after the limit is closed, and stopping twice is the same', async () => {
    const held = heldReceiver();
    const edge = await startEdge({ receive: held.receive });
    const busy = openRaw(edge.port);
    busy.socket.write(webhook);
    const draining = openRaw(edge.port);
    draining.socket.write(head(['Content-Length: 99999999']));
    await draining.until(/body_too_large/);
    await condition(() => held.waiting === 1);
    const first = edge.server.stop(50);
    assert.equal(edge.server.stop(60_000), first);
    await Promise.all([first, busy.closed, draining.closed]);
    assert.equal(busy.text(), '');
    assert.equal(edge.logs().filter((line) => line['connections'] === 2).length, 1);
    held.release();
  });

  test('stopping what was never started is done at once', async () => {
    const edge = await startEdge();
    await edge.server.stop(0);
    await edge.server.stop(0);
  });

  test('under load nothing that was taken is left without its answer', async () => {
    const edge = await startEdge();
    const agent = new Agent({ keepAlive: true, maxSockets: 20 });
    let answered = 0;
    let refused = 0;
    const once = (): Promise<void> =>
      new Promise((resolve) => {
        const headers = { ...bearer, 'content-length': 2 };
        const outgoing = request(
          { port: edge.port, host: '127.0.0.1', path: '/apono/webhook', method: 'POST', agent, headers },
          (response) => {
            if (response.statusCode === 200) answered += 1;
            response.resume().on('close', resolve);
          },
        );
        outgoing.on('error', () => {
          refused += 1;
          resolve();
        });
        outgoing.end('{}');
      });
    const load = Promise.all(
      Array.from({ length: 20 }, async () => {
        while (refused === 0 && answered < 5_000) await once();
      }),
    );
    await condition(() => answered > 200);
    await edge.server.stop(10_000);
    await load;
    agent.destroy();
    assert.equal(answered, edge.received.length);
  });
});
