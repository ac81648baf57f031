import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { createGzip, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { ReceivedBody } from '../../src/intake/understand.ts';
import type { Received } from '../../src/outbox/port.ts';
import { manualClock } from '../support/manual-clock.ts';
import {
  accepted,
  assertProblem,
  bearer,
  condition,
  event,
  head,
  heldReceiver,
  openRaw,
  post,
  send,
  withEdge,
} from './edge.ts';

const maxBodyBytes = 100_000;

describe('MAX_BODY_BYTES', () => {
  test('a body of exactly that size is taken, one byte more is 413', async () => {
    await withEdge({ webhook: { maxBodyBytes } }, async ({ port }) => {
      const exact = Buffer.alloc(maxBodyBytes, 'x');
      const over = Buffer.alloc(maxBodyBytes + 1, 'x');
      for (const [body, status] of [
        [exact, 200],
        [over, 413],
      ] as const) {
        assert.equal((await post(port, body)).status, status);
        assert.equal((await post(port, body, { 'transfer-encoding': 'chunked' })).status, status);
        assert.equal((await post(port, gzipSync(body), { 'content-encoding': 'gzip' })).status, status);
        assert.equal((await post(port, deflateSync(body), { 'content-encoding': 'deflate' })).status, status);
      }
    });
  });

  test('it holds for what comes over the wire too', async () => {
    await withEdge({ webhook: { maxBodyBytes } }, async ({ port }) => {
      const body = gzipSync(randomBytes(maxBodyBytes));
      assert.ok(body.length > maxBodyBytes);
      for (const extra of [{}, { 'transfer-encoding': 'chunked' }]) {
        assertProblem(await post(port, body, { 'content-encoding': 'gzip', ...extra }), 413, 'body_too_large');
      }
    });
  });

  test('a gzip bomb is 413 and inflated no further than the limit', async () => {
    const bomb = await zeros(256);
    assert.ok(bomb.length < 300_000);
    await withEdge({}, async ({ port, received }) => {
      const before = process.memoryUsage();
      const replies = await Promise.all(
        Array.from({ length: 8 }, () => post(port, bomb, { 'content-encoding': 'gzip' })),
      );
      for (const reply of replies) assertProblem(reply, 413, 'body_too_large');
      const after = process.memoryUsage();
      assert.ok(after.rss - before.rss < 400_000_000, 'eight bombs hold 2 GiB');
      assert.equal(received.length, 0);
      assert.equal((await post(port, '{}')).status, 200);
    });
  });

  test('a 6 MB body is answered 413 and its sender sees it, though it was still sending', async () => {
    await withEdge({}, async ({ port, received }) => {
      for (const headers of [{}, { 'transfer-encoding': 'chunked' }, { connection: 'close' }]) {
        const reply = await post(port, Buffer.alloc(6_000_000, 'x'), headers);
        assertProblem(reply, 413, 'body_too_large');
      }
      assert.equal(received.length, 0);
    });
  });

  test('a sender without the secret sees the 401 behind a large body too', async () => {
    await withEdge({}, async ({ port }) => {
      const body = Buffer.alloc(6_000_000, 'x');
      for (const headers of [{}, { connection: 'close' }, { 'transfer-encoding': 'chunked' }]) {
        assertProblem(await send(port, { headers, body }), 401, 'secret_missing');
      }
      assertProblem(await send(port, { path: '/nowhere', body, headers: { connection: 'close' } }), 404, 'not_found');
    });
  });
});

/** So many MiB of zeros as gzip. */
async function zeros(megabytes: number): Promise<Buffer> {
  const gzip = createGzip({ level: 9 });
  const chunks: Buffer[] = [];
  gzip.on('data', (chunk: Buffer) => chunks.push(chunk));
  for (let count = 0; count < megabytes; count += 1) {
    if (!gzip.write(Buffer.alloc(1024 * 1024))) await once(gzip, 'drain');
  }
  gzip.end();
  await once(gzip, 'end');
  return Buffer.concat(chunks);
}

test('gzip bodies count in flight with their window, and what they inflate to', async () => {
  const held = heldReceiver();
  const inflated = 200_000;
  const body = gzipSync(Buffer.alloc(inflated, 'x'));
  // Room for one inflated body and the decoder of another, but not for two inflated bodies.
  await withEdge({ receive: held.receive, limits: { maxInFlightBytes: 2 * inflated } }, async ({ port }) => {
    const first = post(port, body, { 'content-encoding': 'gzip' });
    await condition(() => held.waiting === 1);
    assertProblem(await post(port, body, { 'content-encoding': 'gzip' }), 503, 'too_busy');
    held.release();
    assert.equal((await first).status, 200);
    const again = post(port, body, { 'content-encoding': 'gzip' });
    await condition(() => held.waiting === 1);
    held.release();
    assert.equal((await again).status, 200);
  });
});

test('100 gzip bodies at once are all inflated, a few at a time, and their share is given back', async () => {
  await withEdge({}, async ({ port, received }) => {
    const body = gzipSync(Buffer.alloc(100_000, 'x'));
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        // Every third one is broken.
        post(port, index % 3 === 0 ? body.subarray(0, -9) : body, { 'content-encoding': 'gzip' }),
      ),
    );
    for (const [index, { status }] of answers.entries()) assert.equal(status, index % 3 === 0 ? 400 : 200);
    assert.ok(received.every(({ bytes }) => bytes.length === 100_000));
    assert.equal((await post(port, body, { 'content-encoding': 'gzip' })).status, 200);
  });
});

test('a body in chunks without a length, even of one byte each, is put together', async () => {
  await withEdge({}, async ({ port, received }) => {
    const body = 'abcdefghij'.repeat(5_000);
    const raw = openRaw(port);
    raw.socket.write(head(['Transfer-Encoding: chunked']));
    raw.socket.write(`${[...body].map((letter) => `1\r\n${letter}\r\n`).join('')}0\r\nTrailer: x\r\n\r\n`);
    assert.match(await raw.until(/"rows".*\}\}/s), /^HTTP\/1\.1 200 /);
    raw.socket.destroy();
    assert.equal(Buffer.from(received[0]?.bytes ?? []).toString(), body);
  });
});

test('a body is the same with its head in one piece, behind it, and cut anywhere', async () => {
  await withEdge({}, async ({ port, received }) => {
    const body = '{"a":"ä"}'.repeat(20);
    const length = Buffer.byteLength(body);
    const whole = Buffer.from(`${head([`Content-Length: ${length}`])}${body}`);
    const chunked = Buffer.from(
      `${head(['Transfer-Encoding: chunked'])}${length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    );
    const cuts = fc.array(fc.nat(whole.length), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(whole, chunked), cuts, fc.boolean(), async (request, places, pipelined) => {
        received.length = 0;
        const raw = openRaw(port);
        raw.socket.setNoDelay(true);
        const ends = [...places.toSorted((a, b) => a - b), request.length];
        for (const [index, end] of ends.entries()) {
          const piece = request.subarray(ends[index - 1] ?? 0, end);
          await new Promise((resolve) => raw.socket.write(piece, resolve));
          // Behind a turn, so that the pieces come as such.
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (pipelined) raw.socket.write(request);
        await raw.until(pipelined ? /"rows"[\s\S]*200 OK[\s\S]*\}\}$/ : /"rows"[\s\S]*\}\}$/);
        raw.socket.destroy();
        assert.deepEqual(
          received.map(({ bytes }) => Buffer.from(bytes).toString()),
          pipelined ? [body, body] : [body],
        );
      }),
      { numRuns: 200 },
    );
  });
});

test('a body that came with its head is no slice of something larger, which it would keep in memory', async () => {
  await withEdge({}, async ({ port, received }) => {
    await post(port, '{"a":1}');
    const { bytes } = received[0] ?? { bytes: Buffer.alloc(0) };
    assert.equal(bytes.length, 7);
    assert.ok(bytes.buffer.byteLength <= 8_192, `${bytes.buffer.byteLength}`);
  });
});

test('an empty body is the receiver’s to judge', async () => {
  await withEdge({}, async ({ port, received }) => {
    await post(port, '');
    await post(port, '', { 'content-encoding': 'gzip' });
    await send(port, { method: 'PUT', headers: { ...bearer, 'transfer-encoding': 'chunked' } });
    assert.deepEqual(
      received.map(({ bytes }) => bytes.length),
      [0, 0, 0],
    );
  });
});

test('a body that is cut off is stored nowhere, answered to nobody, and logged', async () => {
  for (const headers of [['Content-Length: 1000'], ['Transfer-Encoding: chunked']]) {
    for (const end of ['reset', 'half-close'] as const) {
      await withEdge({}, async ({ port, received, records }) => {
        const raw = openRaw(port);
        raw.socket.write(`${head([...headers, 'Expect: 100-continue'])}`);
        // Only then the body is being read.
        await raw.until(/100 Continue/);
        raw.socket.write('2\r\n{}\r\n');
        if (end === 'reset') raw.socket.resetAndDestroy();
        else raw.socket.end();
        await raw.closed;
        await condition(() => records.length === 1);
        assert.equal(records[0]?.status, null);
        assert.equal(records[0]?.code, 'request_aborted');
        assert.equal(received.length, 0);
        assert.doesNotMatch(raw.text(), /HTTP\/1\.1 (2|5)00/);
        assert.equal((await post(port, '{}')).status, 200);
      });
    }
  }
});

test('a body that comes too slowly is 408', async () => {
  const clock = manualClock();
  await withEdge({ clock, limits: { bodyTimeoutMs: 60_000 } }, async ({ port, received }) => {
    const raw = openRaw(port);
    raw.socket.write(head(['Content-Length: 10', 'Expect: 100-continue']));
    await raw.until(/100 Continue/);
    raw.socket.write('12345');
    clock.advance(59_999);
    assert.doesNotMatch(raw.text(), /408/);
    clock.advance(1);
    assert.match(await raw.until(/HTTP\/1\.1 408 [\s\S]*body_too_slow/), /408/);
    clock.advance(5_000);
    await raw.closed;
    assert.equal(received.length, 0);
  });
});

describe('Expect: 100-continue', () => {
  test('a refusal that the headers show comes in place of the 100', async () => {
    await withEdge({}, async ({ port }) => {
      const refusals: [string, number][] = [
        [head(['Content-Length: 99999999', 'Expect: 100-continue']), 413],
        [head(['Content-Length: 9', 'Content-Encoding: zstd', 'Expect: 100-continue']), 415],
        ['POST /apono/webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n', 401],
        ['POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n', 404],
      ];
      for (const [request, status] of refusals) {
        const raw = openRaw(port);
        raw.socket.write(request);
        const text = await raw.until(/request_id.*\}/s);
        assert.ok(text.startsWith(`HTTP/1.1 ${status} `), text);
        assert.match(text, /Connection: close/i);
        assert.doesNotMatch(text, /100 Continue/);
        raw.socket.destroy();
        await raw.closed;
      }
    });
  });

  test('else the 100 comes, then the answer', async () => {
    await withEdge({}, async ({ port, received }) => {
      const raw = openRaw(port);
      raw.socket.write(head(['Content-Length: 2', 'Expect: 100-continue']));
      await raw.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
      raw.socket.write('{}');
      await raw.until(/\r\n\r\nHTTP\/1\.1 200 [\s\S]*"rows":2/);
      raw.socket.destroy();
      assert.equal(received.length, 1);
    });
  });
});

describe('bodies in flight', () => {
  test('above the mark the next is 503 with Retry-After before it is read, and below it is taken again', async () => {
    const waiting: (() => void)[] = [];
    const receive = ({ bytes }: ReceivedBody): Promise<Received> =>
      new Promise((resolve) => {
        const events = [event({ rows: bytes.length })];
        waiting.push(() => resolve(accepted(events)));
      });
    await withEdge({ receive, limits: { maxInFlightBytes: 250_000 } }, async ({ port }) => {
      const body = Buffer.alloc(100_000, 'x');
      const first = [post(port, body), post(port, body)];
      await condition(() => waiting.length === 2);
      const raw = openRaw(port);
      raw.socket.write(head(['Content-Length: 100000', 'Expect: 100-continue']));
      const refused = await raw.until(/request_id.*\}/s);
      assert.match(refused, /^HTTP\/1\.1 503 /);
      assert.match(refused, /Retry-After: [1-9]/);
      raw.socket.destroy();
      // One that does not say how long it is, is refused when it has become too long.
      assertProblem(await post(port, body, { 'transfer-encoding': 'chunked' }), 503, 'too_busy');
      const small = post(port, '{}');
      await condition(() => waiting.length === 3);
      for (const go of waiting.splice(0)) go();
      assert.deepEqual(
        (await Promise.all([...first, small])).map(({ status }) => status),
        [200, 200, 200],
      );
      const again = [post(port, body), post(port, body)];
      await condition(() => waiting.length === 2);
      for (const go of waiting.splice(0)) go();
      assert.deepEqual(
        (await Promise.all(again)).map(({ status }) => status),
        [200, 200],
      );
    });
  });

  test('refused, broken and aborted bodies give their share back', async () => {
    await withEdge({ limits: { maxInFlightBytes: 170_000 } }, async ({ port, records }) => {
      for (let count = 0; count < 5; count += 1) {
        assert.equal((await post(port, Buffer.alloc(100_000), { 'content-encoding': 'gzip' })).status, 400);
        const raw = openRaw(port);
        raw.socket.write(head(['Content-Length: 100000', 'Expect: 100-continue']));
        await raw.until(/100 Continue/);
        raw.socket.resetAndDestroy();
        await condition(() => records.length === 2 * count + 2);
      }
      assert.equal((await post(port, Buffer.alloc(100_000))).status, 200);
    });
  });
});
