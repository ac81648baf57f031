import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { count, head, openRaw, post, secret, send } from '../http/edge.ts';
import { requestStream, startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { type ServiceProcess, serviceEnv, serviceFiles, startServiceProcess } from '../support/service-process.ts';
import { ambiguousRequests, hiddenWebhook } from './support/ambiguous-requests.ts';

const maxBodyBytes = 1_000_000;

const event = (id: string) => `{"event_type":"RequestGranted","event_time":1763719200,"data":{"id":"${id}"}}`;
const webhook = (id: string) => `${head([`Content-Length: ${event(id).length}`])}${event(id)}`;

/** A connection that is only held. Its end, by a reset too, is `socket.destroyed`. */
async function hold(port: number): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect({ port, host: '127.0.0.1' });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  return { socket, text: () => text };
}

const holdMany = (port: number, number: number) => Promise.all(Array.from({ length: number }, () => hold(port)));

async function outboxOf({ port }: ServiceProcess): Promise<Record<string, unknown>> {
  return (await send(port, { method: 'GET', path: '/healthz' })).json['outbox'] as Record<string, unknown>;
}

test('the edge of the real process, one after another on the same one', async (t) => {
  const emulator = await startTestEmulator(t);
  const env = serviceEnv(emulator, await serviceFiles(t, emulator));
  const service = await startServiceProcess(t, {
    ...env,
    APONO_WEBHOOK_SECRET: secret,
    MAX_BODY_BYTES: String(maxBodyBytes),
    LOG_LEVEL: 'debug',
  });
  const { port } = service;
  let wellBehaved = 0;

  /** The process is the one that was started, takes a webhook, and has met nothing that it did not expect. */
  async function staysWell(): Promise<void> {
    const { status, json } = await post(port, event(`well-${wellBehaved++}`));
    assert.deepEqual([status, json['duplicate']], [200, false]);
    assert.equal(service.child.exitCode, null);
    const errors = service.logs.filter(({ level }) => level === 'error' || level === 'fatal');
    assert.deepEqual(errors, []);
  }

  // The time limit for headers is 15 seconds: these crawl on while everything else happens, and are looked at last.
  const crawling = await holdMany(port, 100);
  for (const { socket } of crawling) socket.write('POST /apono/webhook HTTP/1.1\r\nHost: a\r\nX-Slow: ');
  const crawl = setInterval(() => {
    for (const { socket } of crawling) if (socket.writable) socket.write('x');
  }, 200);
  const crawlingBodies = await holdMany(port, 100);
  for (const { socket } of crawlingBodies) socket.write(`${head(['Content-Length: 5000'])}{`);
  const crawlBodies = setInterval(() => {
    for (const { socket } of crawlingBodies) if (socket.writable) socket.write(' ');
  }, 200);
  t.after(() => {
    clearInterval(crawl);
    clearInterval(crawlBodies);
    for (const { socket } of [...crawling, ...crawlingBodies]) socket.destroy();
  });

  await t.test('1,000 idle connections, 100 slow headers and 100 slow bodies: webhooks are answered', async () => {
    const idle = await holdMany(port, 1_000);
    const answers = await Promise.all(Array.from({ length: 300 }, (_, index) => post(port, event(`idle-${index}`))));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(idle.filter(({ socket }) => socket.destroyed).length, 0);
    for (const { socket } of [...idle, ...crawlingBodies]) socket.destroy();
    clearInterval(crawlBodies);
    await eventually(() => service.logs.filter(({ code }) => code === 'request_aborted').length === 100);
    await staysWell();
  });

  await t.test('100 pipelined webhooks are answered in their order, each with its own identity', async () => {
    const ids = Array.from({ length: 100 }, (_, index) => `pipelined-${index}`);
    const raw = openRaw(port);
    raw.socket.write(ids.map(webhook).join(''));
    raw.socket.write(head(['Content-Length: 2', 'Connection: close']).replace('/apono/webhook', '/nowhere'));
    raw.socket.write('{}');
    await raw.closed;
    assert.equal(count(raw.text(), /HTTP\/1\.1 200 /g), 100);
    const answered = [...raw.text().matchAll(/"event_id":"(v1[0-9a-f]+)","kind"[^}]*"data"/g)].map(([, id]) => id);
    const again = await Promise.all(ids.map((id) => post(port, event(id))));
    assert.deepEqual(
      again.map(({ json }) => [json['event_id'], json['duplicate']]),
      answered.map((id) => [id, true]),
    );
    await staysWell();
  });

  await t.test(
    'bodies over the limit, in chunks and by their length, are 413, and the connection goes on',
    async () => {
      const piece = 'x'.repeat(65_536);
      for (const [headers, body] of [
        [['Transfer-Encoding: chunked'], `${`10000\r\n${piece}\r\n`.repeat(24)}0\r\n\r\n`],
        [['Content-Length: 1572864'], piece.repeat(24)],
      ] as const) {
        const raw = openRaw(port);
        raw.socket.write(head(headers));
        raw.socket.write(body);
        assert.match(await raw.until(/body_too_large[^}]*\}/), /^HTTP\/1\.1 413 /);
        raw.socket.write(webhook(`behind-413-${headers[0]}`));
        await raw.until(/HTTP\/1\.1 200 [\s\S]*\}\}$/);
        raw.socket.destroy();
      }
      await staysWell();
    },
  );

  await t.test('300 bodies that are cut off somewhere store nothing and leave no request behind', async () => {
    const before = await outboxOf(service);
    const aborted = () => service.logs.filter(({ code }) => code === 'request_aborted').length;
    const abortedBefore = aborted();
    await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const chunked = index % 2 === 0;
        const body = event(`aborted-${index}`);
        const raw = openRaw(port);
        raw.socket.write(
          head([chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`, 'Expect: 100-continue']),
        );
        await raw.until(/100 Continue/);
        const cut = index % body.length;
        // All but the last chunk: the event is there, its end is not.
        raw.socket.write(
          chunked ? `${body.length.toString(16)}\r\n${body}\r\n`.slice(0, cut + 60) : body.slice(0, cut),
        );
        if (index % 3 === 0) raw.socket.resetAndDestroy();
        else raw.socket.end();
        await raw.closed;
        assert.doesNotMatch(raw.text(), /HTTP\/1\.1 [25]/);
      }),
    );
    await eventually(() => aborted() === abortedBefore + 300, aborted);
    assert.equal((await outboxOf(service))['quarantined'], before['quarantined']);
    for (const index of [0, 1, 150, 299]) {
      assert.equal((await post(port, event(`aborted-${index}`))).json['duplicate'], false);
    }
    await staysWell();
  });

  await t.test('HTTP/1.0, with and without keep-alive and Host', async () => {
    const body = event('http-1.0');
    const start = `POST /apono/webhook HTTP/1.0\r\nX-Webhook-Secret: ${secret}\r\nContent-Length: ${body.length}\r\n`;
    const closing = openRaw(port);
    closing.socket.write(`${start}\r\n${body}`);
    await closing.closed;
    assert.match(closing.text(), /^HTTP\/1\.1 200 [\s\S]*\}\}$/);
    const kept = openRaw(port);
    kept.socket.write(`${start}Connection: keep-alive\r\n\r\n${body}`);
    await kept.until(/"duplicate":true[\s\S]*\}\}$/);
    kept.socket.write(`${start}Host: a\r\n\r\n${body}`);
    await kept.closed;
    assert.equal(count(kept.text(), /HTTP\/1\.1 200 /g), 2);
    await staysWell();
  });

  await t.test('floods of headers are 431 and end their connection, on 100 connections at once', async () => {
    const flood = `POST /apono/webhook HTTP/1.1\r\nHost: a\r\n${`X-Flood: ${'y'.repeat(80)}\r\n`.repeat(400)}`;
    const long = `POST /apono/webhook HTTP/1.1\r\nHost: a\r\nX-Flood: ${'y'.repeat(40_000)}`;
    const address = `POST /apono/webhook?${'y'.repeat(40_000)} HTTP/1.1\r\nHost: a\r\n`;
    await Promise.all(
      Array.from({ length: 99 }, async (_, index) => {
        const raw = openRaw(port);
        raw.socket.write([flood, long, address][index % 3] ?? '');
        await raw.closed;
        assert.match(raw.text(), /^HTTP\/1\.1 431 [^\r]*\r\nConnection: close\r\nContent-Length: 0\r\n\r\n$/);
      }),
    );
    await staysWell();
  });

  await t.test('what another server might read as another request is one request or none', async (tt) => {
    for (const [name, { bytes, answers }] of ambiguousRequests()) {
      await tt.test(name, async () => {
        const raw = openRaw(port);
        raw.socket.write(Buffer.from(bytes, 'latin1'));
        // Its end comes behind the last answer that there will be.
        raw.socket.end();
        await raw.closed;
        const statuses = [...raw.text().matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
        assert.deepEqual(statuses, answers, raw.text());
        const hidden = await post(port, hiddenWebhook(name).body);
        assert.deepEqual([hidden.status, hidden.json['duplicate']], [200, false], 'the hidden one was taken');
      });
    }
    await staysWell();
  });

  await t.test('targets in every form: only the webhook’s path is the webhook', async () => {
    const targets: readonly (readonly [string, readonly number[]])[] = [
      ['http://proxy/apono/webhook', [200]],
      ['https://another.example:8443/apono/webhook?x=1', [200]],
      ['http://proxy/', [404]],
      ['http://proxy', [404]],
      ['//proxy/apono/webhook', [404]],
      ['/apono/../apono/webhook', [404]],
      ['/apono%2fwebhook', [404]],
      ['/apono/webhook%00', [404]],
      ['/%', [404]],
      ['*', [404]],
      ['apono/webhook', [400]],
    ];
    for (const [target, answers] of targets) {
      const raw = openRaw(port);
      raw.socket.end(webhook('targets').replace('/apono/webhook', target));
      await raw.closed;
      const statuses = [...raw.text().matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
      assert.deepEqual([target, statuses], [target, answers]);
    }
    const tunnel = openRaw(port);
    tunnel.socket.write(`CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${secret}\r\n\r\n`);
    await tunnel.closed;
    assert.doesNotMatch(tunnel.text(), /HTTP\/1\.1 2/);
    await staysWell();
  });

  await t.test('headers that crawl in end with 408 when their time is over', async () => {
    await eventually(
      () => crawling.every(({ socket }) => socket.destroyed),
      () => crawling.filter(({ socket }) => !socket.destroyed).length,
    );
    for (const { text } of crawling) assert.match(text(), /^HTTP\/1\.1 408 /);
    await staysWell();
  });

  await t.test('2,500 half-open requests without a secret keep neither probes nor webhooks away', async () => {
    const halfOpen = await holdMany(port, 2_500);
    for (const { socket } of halfOpen) socket.write('POST /apono/webhook HTTP/1.1\r\nHost: a\r\nX-Slow: ');
    for (const path of ['/livez', '/readyz']) assert.equal((await send(port, { method: 'GET', path })).status, 200);
    await staysWell();
    await eventually(() => service.logs.some(({ code }) => code === 'connections_full'));
    for (const { socket } of halfOpen) socket.destroy();
    await staysWell();
  });

  await t.test('everything that was accepted is in Azure, and nothing else', async () => {
    // The last lines of the log may still be on their way.
    const ids = () =>
      new Set(
        service.logs
          .filter(({ status, duplicate }) => status === 200 && duplicate === false)
          .map((line) => line['event_id']),
      );
    await eventually(
      async () => (await outboxOf(service))['waiting'] === 0 && emulator.rowCount(requestStream) === ids().size,
      () => [emulator.rowCount(requestStream), ids().size],
    );
    assert.ok(ids().size > 400);
    assert.deepEqual(new Set(emulator.rows(requestStream).map((row) => row['event_id'])), ids());
    assert.equal((await outboxOf(service))['dead'], 0);
  });
});
