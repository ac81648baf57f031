import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { type Mock, test } from 'node:test';
import { manualClock } from '../support/manual-clock.ts';
import { condition, head, openRaw, withEdge } from './edge.ts';

const piece = Buffer.alloc(65_536, 'x');

/** Writes until the connection ends; how many bytes went out. */
async function pour(socket: Socket, maxBytes: number): Promise<number> {
  let sent = 0;
  while (sent < maxBytes && !socket.destroyed && socket.writable) {
    const size = Math.min(piece.length, maxBytes - sent);
    sent += size;
    if (socket.write(piece.subarray(0, size))) continue;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }
  return sent;
}

test('behind a refusal the connection goes on when the rest of the body came', async () => {
  await withEdge({}, async ({ port }) => {
    const raw = openRaw(port);
    raw.socket.write(`POST /apono/webhook HTTP/1.1\r\nHost: a\r\nContent-Length: ${6_000_000}\r\n\r\n`);
    // The answer does not wait for the body.
    assert.match(await raw.until(/secret_missing.*\}/s), /^HTTP\/1\.1 401 [\s\S]*Connection: keep-alive/);
    assert.equal(await pour(raw.socket, 6_000_000), 6_000_000);
    raw.socket.write(`${head(['Content-Length: 2'])}{}`);
    await raw.until(/HTTP\/1\.1 200 [\s\S]*"rows":2/);
    raw.socket.destroy();
    await raw.closed;
  });
});

test('an answer that comes before the body goes out in one write, head and body', async (t) => {
  // Two writes reach a client in the same process as one read, so they are counted where they leave.
  const writes = t.mock.method(Socket.prototype, '_writeGeneric' as never) as unknown as Mock<
    (isMany: boolean, data: string | { chunk: string }[]) => void
  >;
  await withEdge({}, async ({ port }) => {
    const early: [string, RegExp][] = [
      [
        'POST /apono/webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n',
        /^HTTP\/1\.1 401 .*secret_missing.*\}$/s,
      ],
      ['POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n', /^HTTP\/1\.1 404 .*not_found.*\}$/s],
      [head(['Content-Length: 99999999']), /^HTTP\/1\.1 413 .*body_too_large.*\}$/s],
      [head(['Transfer-Encoding: gzip, chunked']), /^HTTP\/1\.1 415 .*encoding_unsupported.*\}$/s],
    ];
    for (const [request, whole] of early) {
      const raw = openRaw(port);
      raw.socket.write(request);
      await raw.until(whole);
      const texts = writes.mock.calls.map(({ arguments: [, data] }) =>
        Array.isArray(data) ? data.map(({ chunk }) => String(chunk)).join('') : String(data),
      );
      writes.mock.resetCalls();
      assert.deepEqual(
        texts.filter((text) => raw.text().includes(text)),
        [raw.text()],
      );
      raw.socket.destroy();
    }
  });
});

test('a length of 100 GB is answered 413 at once, and the connection is closed when its sender goes on', async () => {
  await withEdge({}, async ({ port, received }) => {
    const raw = openRaw(port);
    raw.socket.write(head(['Content-Length: 107374182400']));
    const answer = await raw.until(/body_too_large.*\}/s);
    assert.match(answer, /^HTTP\/1\.1 413 /);
    assert.match(answer, /Connection: close/i);
    const sent = await pour(raw.socket, 200_000_000);
    await raw.closed;
    // What was not read lies in the buffers of the two sockets.
    assert.ok(sent < 60_000_000, `${sent} bytes were taken`);
    assert.equal(received.length, 0);
  });
});

test('chunks without end are cut at the limit too', async () => {
  await withEdge({ limits: { drainMaxBytes: 1_000_000 } }, async ({ port }) => {
    const raw = openRaw(port);
    raw.socket.write('POST /apono/webhook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n');
    await raw.until(/^HTTP\/1\.1 401 /);
    assert.ok((await pour(raw.socket, 200_000_000)) < 60_000_000);
    await raw.closed;
  });
});

test('a sender who is slow behind a refusal is cut after 5 seconds', async () => {
  const clock = manualClock();
  await withEdge({ clock }, async ({ port }) => {
    const raw = openRaw(port);
    raw.socket.write(`${head(['Content-Length: 99999999'])}first`);
    await raw.until(/body_too_large.*\}/s);
    let closed = false;
    void raw.closed.then(() => {
      closed = true;
    });
    clock.advance(4_999);
    raw.socket.write('more');
    // A round trip on another connection: were the first to be closed, it would be by now.
    const other = openRaw(port);
    other.socket.write('GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await other.closed;
    assert.equal(closed, false);
    clock.advance(1);
    await raw.closed;
  });
});

test('a sender who goes away behind a refusal leaves nothing behind', async () => {
  await withEdge({}, async ({ port, records, server }) => {
    const raw = openRaw(port);
    raw.socket.write(`${head(['Content-Length: 99999999'])}first`);
    await raw.until(/body_too_large/);
    raw.socket.resetAndDestroy();
    await condition(() => records.length === 1);
    // Resolves only when no connection is left.
    await server.stop(60_000);
  });
});

test('the answer to a caller who does not keep the connection is whole before it ends', async () => {
  await withEdge({}, async ({ port }) => {
    for (const [version, lines] of [
      ['1.0', ['Content-Length: 6000000']],
      ['1.1', ['Content-Length: 6000000', 'Connection: close']],
    ] as const) {
      const raw = openRaw(port);
      // Many clients read the answer only when their body is out; a reset would take it away from them.
      raw.socket.pause();
      raw.socket.write(head(lines, 'POST', version));
      assert.equal(await pour(raw.socket, 6_000_000), 6_000_000);
      raw.socket.resume();
      await raw.closed;
      assert.match(raw.text(), /^HTTP\/1\.1 413 [\s\S]*\}$/);
    }
  });
});

test('HEAD with a body gets its headers at once and the connection goes on', async () => {
  await withEdge({}, async ({ port }) => {
    const raw = openRaw(port);
    raw.socket.write('HEAD /apono/webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n');
    assert.match(await raw.until(/\r\n\r\n/), /^HTTP\/1\.1 405 /);
    raw.socket.write(`12345${head(['Content-Length: 2'])}{}`);
    assert.match(await raw.until(/"rows":2/), /\r\n\r\nHTTP\/1\.1 200 /);
    raw.socket.destroy();
  });
});
