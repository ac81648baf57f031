import assert from 'node:assert/strict';
import { createServer as createNetServer } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { manualClock } from '../support/manual-clock.ts';
import {
  assertProblem,
  condition,
  count,
  head,
  heldReceiver,
  openRaw,
  post,
  send,
  startEdge,
  webhook,
  withEdge,
} from './edge.ts';

describe('start', () => {
  test('rejects when the port is taken', async () => {
    const other = createNetServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    assert.ok(address !== null && typeof address === 'object');
    await assert.rejects(startEdge({ webhook: { port: address.port } }), { code: 'EADDRINUSE' });
    await new Promise((resolve) => other.close(resolve));
  });

  test('rejects for a host that is not of this machine', async () => {
    await assert.rejects(startEdge({ webhook: { host: '203.0.113.1' } }), { code: 'EADDRNOTAVAIL' });
  });
});

describe('requests on one connection', () => {
  test('pipelined webhooks are answered in their order', async () => {
    await withEdge({}, async ({ port, received }) => {
      const raw = openRaw(port);
      const bodies = Array.from({ length: 50 }, (_, index) => 'x'.repeat(index + 1));
      raw.socket.write(bodies.map((body) => head([`Content-Length: ${body.length}`]) + body).join(''));
      const text = await raw.until(/"rows":50,[\s\S]*"rows":50,/);
      const rows = [...text.matchAll(/"rows":(\d+),"duplicate":false,"data"/g)].map(([, number]) => Number(number));
      assert.deepEqual(
        rows,
        bodies.map(({ length }) => length),
      );
      assert.equal(received.length, 50);
      raw.socket.destroy();
    });
  });

  test('a refused request in the middle does not disturb the others', async () => {
    await withEdge({}, async ({ port }) => {
      const raw = openRaw(port);
      const refused = `POST /apono/webhook HTTP/1.1\r\nHost: a\r\nContent-Length: ${webhook.length}\r\n\r\n${webhook}`;
      raw.socket.write(webhook + refused + webhook);
      const text = await raw.until(/200 OK[\s\S]*401 [\s\S]*200 OK[\s\S]*\}\}$/);
      assert.equal(count(text, /HTTP\/1\.1 /g), 3, 'a body is not taken for a request');
      raw.socket.destroy();
    });
  });

  test('what is malformed behind a webhook does not take its answer away', async () => {
    const held = heldReceiver();
    await withEdge({ receive: held.receive }, async ({ port }) => {
      const raw = openRaw(port);
      raw.socket.write(`${webhook}this is no request\r\n\r\n`);
      await condition(() => held.waiting === 1);
      raw.socket.write('nor is this\r\n\r\n');
      held.release();
      await raw.closed;
      assert.match(raw.text(), /^HTTP\/1\.1 200 /);
      assert.equal(count(raw.text(), /HTTP\/1\.1 /g), 1);
    });
  });

  test('a caller that ends its side behind the request still gets the answer', async () => {
    const held = heldReceiver();
    await withEdge({ receive: held.receive }, async ({ port }) => {
      const raw = openRaw(port);
      raw.socket.end(webhook);
      await condition(() => held.waiting === 1);
      // Behind a round trip the server has seen the end as well.
      await send(port, { method: 'GET', path: '/livez' });
      held.release();
      await raw.closed;
      assert.match(raw.text(), /^HTTP\/1\.1 200 [\s\S]*\}\}$/);
    });
  });

  test('headers that are named like members of every object are headers like others', async () => {
    await withEdge({}, async ({ port }) => {
      const raw = openRaw(port);
      const lines = ['__proto__: x', 'constructor: x', 'hasOwnProperty: x', 'Content-Length: 2'];
      raw.socket.write(`${head(lines)}{}`);
      assert.match(await raw.until(/\}\}$/), /^HTTP\/1\.1 200 /);
      raw.socket.destroy();
    });
  });

  test('HTTP/1.0 is answered and closed', async () => {
    await withEdge({}, async ({ port }) => {
      const raw = openRaw(port);
      raw.socket.write(`${head(['Content-Length: 2'], 'POST', '1.0')}{}`);
      await raw.closed;
      assert.match(raw.text(), /^HTTP\/1\.1 200 [\s\S]*\}\}$/);
    });
  });

  const offer = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAEAAEAAAAIAAAAA'];

  test('an offer to upgrade is not taken up, and the webhook is; then the connection is closed', async () => {
    await withEdge({}, async ({ port }) => {
      const raw = openRaw(port);
      // What follows in the same read is dropped by Node's parser: the sender must know that it has no answer.
      raw.socket.write(`${head(['Content-Length: 2', ...offer])}{}${webhook}`);
      await raw.closed;
      assert.match(raw.text(), /^HTTP\/1\.1 200 [\s\S]*\r\nConnection: close\r\n[\s\S]*\}\}$/);
      assert.equal(count(raw.text(), /HTTP\/1\.1 /g), 1);
    });
  });

  test('a refusal of a request that offers an upgrade is whole and closes the connection', async () => {
    await withEdge({}, async ({ port }) => {
      for (const body of ['', '{}', 'x'.repeat(3_000_000)]) {
        const raw = openRaw(port);
        const lines = ['POST /apono/webhook HTTP/1.1', 'Host: a', ...offer, `Content-Length: ${body.length}`];
        raw.socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
        await raw.closed;
        assert.match(raw.text(), /^HTTP\/1\.1 401 [\s\S]*\r\nConnection: close\r\n[\s\S]*secret_missing[\s\S]*\}$/);
      }
    });
  });
});

describe('what is no HTTP', () => {
  const malformed: [string, string, number][] = [
    ['garbage', 'hello\r\n\r\n', 400],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['no Host', 'POST /apono/webhook HTTP/1.1\r\nContent-Length: 0\r\n\r\n', 400],
    ['two lengths', head(['Content-Length: 2', 'Content-Length: 3']), 400],
    ['a length and chunks', head(['Content-Length: 2', 'Transfer-Encoding: chunked']), 400],
    ['a negative length', head(['Content-Length: -1']), 400],
    ['a length that is no number', head(['Content-Length: 0x10']), 400],
    ['a length beyond counting', head(['Content-Length: 99999999999999999999999']), 400],
    ['a chunk size that is none', `${head(['Transfer-Encoding: chunked'])}zz\r\n`, 400],
    ['a line break inside a header', head(['X-A: b\n c']), 400],
    ['too many bytes of headers', head([`X-Long: ${'x'.repeat(20_000)}`]), 431],
    ['too many headers', head(Array.from({ length: 5_000 }, (_, index) => `X-${index}: y`)), 431],
  ];
  const proxyV2 = '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\x12\x34\x1f\x90';
  const get = 'GET /livez HTTP/1.1\r\nHost: a\r\n\r\n';
  const told: [name: string, bytes: string, status: number, code: string, advice: RegExp][] = [
    [
      'PROXY protocol, version 1',
      `PROXY TCP4 203.0.113.5 10.0.0.4 5000 80\r\n${get}`,
      400,
      'proxy_protocol',
      /turn it off/,
    ],
    ['PROXY protocol, version 1, unknown', `PROXY UNKNOWN\r\n${get}`, 400, 'proxy_protocol', /turn it off/],
    ['PROXY protocol, version 2', `${proxyV2}${get}`, 400, 'proxy_protocol', /turn it off/],
    ['TLS', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', 400, 'tls_on_http_port', /http:\/\//],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'http2_on_http_port', /HTTP\/1\.1/],
    ['headers of 20 KB', head([`Cookie: ${'x'.repeat(20_000)}`]), 431, 'headers_too_large', /431/],
    ['garbage', 'hello\r\n\r\n', 400, 'malformed_request', /no valid HTTP/],
    ['no Host', 'POST /apono/webhook HTTP/1.1\r\nContent-Length: 0\r\n\r\n', 400, 'host_invalid', /Host/],
    ['two Hosts', head(['Host: another', 'Content-Length: 2']), 400, 'host_invalid', /Host/],
    ['the same Host twice', head(['Host: proxy', 'Content-Length: 2']), 400, 'host_invalid', /Host/],
    ['two Hosts in one', get.replace('Host: a', 'Host: a, b'), 400, 'host_invalid', /Host/],
  ];
  for (const [name, bytes, status, code, advice] of told) {
    test(`${name}: ${status}, and the log says once a minute what it is and what to do`, async () => {
      const clock = manualClock();
      await withEdge({ clock }, async ({ port, logs, received }) => {
        const lines = () => logs().filter((line) => line['code'] === code && line['level'] === 'warn');
        async function sendIt(): Promise<void> {
          const raw = openRaw(port);
          raw.socket.write(Buffer.from(bytes, 'latin1'));
          const text = await raw.until(/\r\n\r\n/);
          assert.ok(text.startsWith(`HTTP/1.1 ${status} `), text);
          assert.match(text, /\r\nConnection: close\r\n/);
          raw.socket.destroy();
        }
        for (let times = 0; times < 3; times += 1) await sendIt();
        assert.equal(lines().length, 1);
        assert.match(String(lines()[0]?.['message']), advice);
        assert.deepEqual([lines()[0]?.['client_address'], lines()[0]?.['listener']], ['127.0.0.1', 'webhook']);
        clock.advance(60_000);
        await sendIt();
        assert.deepEqual([lines().length, lines()[1]?.['suppressed']], [2, 2]);
        assert.equal(received.length, 0);
      });
    });
  }

  test('a refused Host is answered as a problem, with the body still to come too', async () => {
    await withEdge({}, async ({ port }) => {
      for (const length of [0, 5, 100_000]) {
        const raw = openRaw(port);
        raw.socket.write(head(['Host: another', `Content-Length: ${length}`]));
        assert.match(await raw.until(/\}$/), /^HTTP\/1\.1 400 .*application\/problem\+json.*"code":"host_invalid"/s);
        raw.socket.destroy();
      }
    });
  });

  for (const [name, bytes, status] of malformed) {
    test(`${name} is ${status}, and the connection ends`, async () => {
      await withEdge({ limits: { lingerMs: 2_000 } }, async ({ port, received }) => {
        const raw = openRaw(port);
        raw.socket.write(Buffer.from(bytes, 'latin1'));
        await raw.closed;
        assert.ok(raw.text().startsWith(`HTTP/1.1 ${status} `), raw.text());
        assert.equal(count(raw.text(), /HTTP\/1\.1 /g), 1);
        assert.equal(received.length, 0);
        assert.equal((await post(port, '{}')).status, 200);
      });
    });
  }
});

test('requests with any bytes turned leave the server as it was', async () => {
  await withEdge({ limits: { lingerMs: 10 } }, async ({ port, logs }) => {
    const whole = Buffer.from(`${head(['Transfer-Encoding: chunked', 'Expect: x'])}2\r\n{}\r\n0\r\n\r\n`, 'latin1');
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const bytes = Buffer.from(whole);
        for (const [index, byte] of changes) bytes.writeUInt8(byte, index);
        const raw = openRaw(port);
        raw.socket.end(bytes);
        await raw.closed;
        assert.match(raw.text(), /^(HTTP\/1\.1 (200|400|401|404|405|413|415|431) [\s\S]*)?$/);
      }),
      { numRuns: 300 },
    );
    assert.deepEqual(
      logs().filter(({ level }) => level === 'error'),
      [],
    );
    assert.equal((await post(port, '{}')).status, 200);
  });
});

describe('time limits', () => {
  const limits = { headersTimeoutMs: 1_000, requestTimeoutMs: 2_000, lingerMs: 2_000 };

  test('headers that do not come to an end are 408', async () => {
    await withEdge({ limits }, async ({ port }) => {
      const raw = openRaw(port);
      raw.socket.write('POST /apono/webhook HTTP/1.1\r\nHost: a\r\nX-Slow: ');
      await raw.closed;
      assert.match(raw.text(), /^HTTP\/1\.1 408 /);
    });
  });

  test('a connection on which nothing ever came is closed without a word', async () => {
    await withEdge({ limits }, async ({ port }) => {
      const raw = openRaw(port);
      await raw.closed;
      assert.equal(raw.text(), '');
    });
  });

  test('the server’s own limit ends a body too, should ours not', async () => {
    await withEdge({ limits }, async ({ port, received, records }) => {
      const raw = openRaw(port);
      raw.socket.write(`${head(['Content-Length: 100'])}x`);
      await raw.closed;
      assert.match(raw.text(), /^HTTP\/1\.1 408 /);
      await condition(() => records.length === 1);
      assert.equal(records[0]?.status, null);
      assert.equal(received.length, 0);
    });
  });

  test('a connection stays open for longer than load balancers keep theirs, 600 s at the longest that is fixed', async () => {
    await withEdge({}, async ({ port }) => {
      const raw = openRaw(port);
      raw.socket.write(webhook);
      const text = await raw.until(/\}\}$/);
      assert.match(text, /Connection: keep-alive/);
      assert.equal(/Keep-Alive: timeout=(\d+)/.exec(text)?.[1], '650');
      raw.socket.destroy();
    });
  });

  test('the time limit for headers does not end a connection that waits for its next request', async () => {
    await withEdge({ limits }, async ({ port }) => {
      const kept = openRaw(port);
      kept.socket.write(webhook);
      await kept.until(/\}\}$/);
      // Two others whose time is over one after another: it would have been for the first one, too.
      for (let times = 0; times < 2; times += 1) {
        const slow = openRaw(port);
        slow.socket.write('POST /apono/webhook HTTP/1.1\r\nX-Slow: ');
        await slow.closed;
      }
      kept.socket.write(`${head(['Content-Length: 4'])}null`);
      await kept.until(/"rows":4/);
      kept.socket.destroy();
    });
  });
});

test('when every connection has a request under way further ones are refused, and the log says so once', async () => {
  const held = heldReceiver();
  const limits = { maxConnections: 2, spareConnections: 1 };
  await withEdge({ receive: held.receive, limits }, async ({ port, logs, received }) => {
    const first = [post(port, '{}'), post(port, '{}')];
    await condition(() => received.length === 2);
    const spare = openRaw(port);
    spare.socket.write(head(['Content-Length: 2']));
    await spare.until(/too_busy/);
    const refused = Array.from({ length: 3 }, () => openRaw(port));
    // One of them may take the place of the answered one; the others find none.
    await condition(() => refused.filter(({ socket }) => socket.destroyed).length >= 2);
    assert.ok(logs().filter(({ code }) => code === 'connections_refused').length <= 1);
    held.release();
    for (const { status } of await Promise.all(first)) assert.equal(status, 200);
    for (const { socket } of [spare, ...refused]) socket.destroy();
  });
});

test('1,000 idle connections do not keep a webhook from its answer', async () => {
  await withEdge({}, async ({ port }) => {
    const idle = Array.from({ length: 1_000 }, () => openRaw(port));
    await Promise.all(idle.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve))));
    assert.equal((await post(port, '{}')).status, 200);
    assertProblem(await send(port), 401, 'secret_missing');
    for (const { socket } of idle) socket.destroy();
  });
});
