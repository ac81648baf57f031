import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import {
  assertProblem,
  condition,
  type Edge,
  head,
  heldReceiver,
  openRaw,
  post,
  send,
  webhook,
  withEdge,
} from './edge.ts';

const halfOpen = 'POST /apono/webhook HTTP/1.1\r\nHost: a\r\nX-Slow: ';
const probe = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

async function hold(port: number, bytes: string, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined).resume();
  await new Promise((resolve) => socket.once('connect', resolve));
  if (bytes !== '') await new Promise((resolve) => socket.write(bytes, resolve));
  return socket;
}

/** One after another, so that their order is known. */
async function holdMany(port: number, number: number, bytes: string, localAddress?: string): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let count = 0; count < number; count += 1) sockets.push(await hold(port, bytes, localAddress));
  return sockets;
}

const closed = (sockets: readonly Socket[]): number[] =>
  sockets.flatMap(({ destroyed }, index) => (destroyed ? [index] : []));

function end(sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.destroy();
}

async function answersProbes({ port }: Edge): Promise<void> {
  for (const path of ['/livez', '/readyz']) assert.equal((await send(port, { method: 'GET', path })).status, 200, path);
}

describe('connections that are only held', () => {
  for (const [name, bytes] of [
    ['without a byte', ''],
    ['with a request that does not end', halfOpen],
  ] as const) {
    test(`${name} make room for probes and webhooks, the oldest first, and the log says so once`, async () => {
      await withEdge({ limits: { maxConnections: 20 } }, async (edge) => {
        const held = await holdMany(edge.port, 20, bytes);
        await answersProbes(edge);
        assert.equal((await post(edge.port, '{}')).status, 200);
        await condition(() => closed(held).length >= 1);
        assert.deepEqual(closed(held), [...closed(held).keys()]);
        assert.ok(closed(held).length <= 3, 'one for each of the others');
        const lines = edge.logs().filter(({ code }) => code === 'connections_full');
        assert.deepEqual([lines.length, lines[0]?.['max_connections'], lines[0]?.['level']], [1, 20, 'warn']);
        end(held);
      });
    });
  }

  test('go before those that wait for another request', async () => {
    await withEdge({ limits: { maxConnections: 20 } }, async ({ port }) => {
      const idle = Array.from({ length: 5 }, () => openRaw(port));
      for (const raw of idle) {
        raw.socket.write(webhook);
        await raw.until(/\}\}$/);
      }
      const held = await holdMany(port, 15, halfOpen);
      const more = await holdMany(port, 10, halfOpen);
      await condition(() => closed(held).length === 10);
      for (const { socket } of idle) assert.equal(socket.destroyed, false);
      end([...held, ...more, ...idle.map(({ socket }) => socket)]);
    });
  });

  test('after a request are closed too when there are no others', async () => {
    await withEdge({ limits: { maxConnections: 5 } }, async (edge) => {
      const idle = Array.from({ length: 5 }, () => openRaw(edge.port));
      for (const raw of idle) {
        raw.socket.write(probe('/nowhere'));
        await raw.until(/\}$/);
      }
      await answersProbes(edge);
      assert.equal((await post(edge.port, '{}')).status, 200);
      await condition(() => idle[0]?.socket.destroyed === true);
      end(idle.map(({ socket }) => socket));
    });
  });

  test('behind a refusal, to send the rest of their body, make room as well', async () => {
    await withEdge({ limits: { maxConnections: 5, drainMaxMs: 60_000 } }, async (edge) => {
      const refused = Array.from({ length: 5 }, () => openRaw(edge.port));
      for (const raw of refused) {
        raw.socket.write('POST /apono/webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n');
        await raw.until(/secret_missing.*\}$/s);
      }
      await answersProbes(edge);
      assert.equal((await post(edge.port, '{}')).status, 200);
      end(refused.map(({ socket }) => socket));
    });
  });
});

describe('when every connection has a webhook under way', () => {
  test('probes are answered, another webhook is 503, and none of the others is lost', async () => {
    const { receive, release } = heldReceiver();
    await withEdge({ receive, limits: { maxConnections: 3 } }, async (edge) => {
      const { port, received } = edge;
      const first = Array.from({ length: 3 }, () => post(port, '{}'));
      await condition(() => received.length === 3);
      await answersProbes(edge);
      const refused = await post(port, '{}');
      assertProblem(refused, 503, 'too_busy');
      assert.match(String(refused.headers['retry-after']), /^[1-9]\d*$/);
      assert.equal(refused.headers['connection'], 'close');
      assertProblem(await send(port), 401, 'secret_missing');
      release();
      for (const { status } of await Promise.all(first)) assert.equal(status, 200);
      const again = post(port, '{}');
      await condition(() => received.length === 4);
      release();
      assert.equal((await again).status, 200);
    });
  });

  test('held connections do not take the probes’ room', async () => {
    const held = heldReceiver();
    await withEdge({ receive: held.receive, limits: { maxConnections: 3, spareConnections: 5 } }, async (edge) => {
      const first = Array.from({ length: 3 }, () => post(edge.port, '{}'));
      await condition(() => edge.received.length === 3);
      const others = await holdMany(edge.port, 50, halfOpen);
      await answersProbes(edge);
      end(others);
      held.release();
      for (const { status } of await Promise.all(first)) assert.equal(status, 200);
    });
  });
});

describe('connections of one address', () => {
  const limits = { maxConnectionsPerAddress: 3 };

  test('are limited: its oldest without a request go, and other addresses notice nothing', async () => {
    await withEdge({ limits, webhook: { trustProxy: ['10.0.0.0/8'] } }, async ({ port, logs }) => {
      const other = await holdMany(port, 3, halfOpen, '127.0.0.2');
      const held = await holdMany(port, 5, halfOpen);
      assert.equal((await post(port, '{}')).status, 200);
      await condition(() => closed(held).length === 3);
      assert.deepEqual(closed(held), [0, 1, 2]);
      assert.deepEqual(closed(other), []);
      const lines = logs().filter(({ code }) => code === 'connections_per_address');
      assert.deepEqual([lines.length, lines[0]?.['client_address']], [1, '127.0.0.1']);
      end([...held, ...other]);
    });
  });

  test('are refused when each has a request under way, and none of those is lost', async () => {
    const held = heldReceiver();
    await withEdge({ receive: held.receive, limits, webhook: { trustProxy: false } }, async ({ port, received }) => {
      const first = Array.from({ length: 3 }, () => post(port, '{}'));
      await condition(() => received.length === 3);
      const refused = openRaw(port);
      await refused.closed;
      assert.equal(refused.text(), '');
      const other = await hold(port, probe('/livez'), '127.0.0.2');
      await new Promise((resolve) => other.once('data', resolve));
      other.destroy();
      held.release();
      for (const { status } of await Promise.all(first)) assert.equal(status, 200);
    });
  });

  for (const trustProxy of [['loopback'], 1] as const) {
    test(`are not limited where it is that of a trusted proxy (${trustProxy})`, async () => {
      await withEdge({ limits, webhook: { trustProxy } }, async ({ port }) => {
        const held = await holdMany(port, 20, halfOpen);
        assert.equal((await post(port, '{}')).status, 200);
        assert.deepEqual(closed(held), []);
        end(held);
      });
    });
  }
});

test('a webhook is taken on a connection that was open before the others came', async () => {
  await withEdge({ limits: { maxConnections: 20 } }, async ({ port }) => {
    const raw = openRaw(port);
    raw.socket.write(webhook);
    await raw.until(/\}\}$/);
    const held = await holdMany(port, 40, halfOpen);
    raw.socket.write(`${head(['Content-Length: 4'])}null`);
    await raw.until(/"rows":4/);
    end([...held, raw.socket]);
  });
});
