import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../src/ground/json.ts';
import { testEvent } from '../../src/kinds/body-template.ts';
import { TEST_ID_PREFIX } from '../../src/kinds/kind.ts';
import { recognize } from '../../src/kinds/recognize.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { requestKind } from '../../src/kinds/request.ts';
import { validate } from '../../src/kinds/validator.ts';
import { secret, withEdge } from '../http/edge.ts';
import { startTestEmulator } from '../support/emulator.ts';
import { mapToRows } from '../support/mapped-rows.ts';
import { startStandIn } from './stand-in.ts';
import { run, spawnCli } from './support.ts';

const env = { APONO_WEBHOOK_SECRET: secret };

describe('send-test', () => {
  it('sends one event to the service on PORT, prints its answer and exits 0', async () => {
    await withEdge({}, async ({ port, received }) => {
      const { exitCode, stdout, stderr } = await run(['send-test'], { ...env, PORT: String(port) });
      assert.equal(stderr, '');
      assert.equal(exitCode, 0);
      assert.match(stdout, /^http_status: 200$/m);
      assert.match(stdout, /^status: accepted$/m);
      assert.match(stdout, /^event_id: v1-abc$/m);
      assert.match(stdout, /^duplicate: false$/m);
      assert.equal(received.length, 1);
      const body: JsonObject = JSON.parse(Buffer.from(received[0]?.bytes ?? []).toString());
      assert.deepEqual(validate(requestKind, body), []);
      assert.ok(!stdout.includes(secret));
    });
  });

  it('sends another event each time', async () => {
    await withEdge({}, async ({ port, received }) => {
      const options = ['send-test', '--url', `http://127.0.0.1:${port}/apono/webhook`];
      await run(options, env);
      await run(options, env);
      const ids = received.map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()).data.id);
      assert.equal(new Set(ids).size, 2);
      for (const id of ids) assert.ok(id.startsWith(TEST_ID_PREFIX));
    });
  });

  it('prints JSON when asked to', async () => {
    await withEdge({}, async ({ port }) => {
      const { stdout } = await run(['send-test', '--json'], { ...env, PORT: String(port) });
      const answer = JSON.parse(stdout);
      assert.equal(answer.accepted, true);
      assert.equal(answer.http_status, 200);
      assert.equal(answer.event_id, 'v1-abc');
    });
  });

  it('prints title, detail and code of a refusal on stderr and exits 1', async () => {
    await withEdge({}, async ({ port, received }) => {
      const wrong = { APONO_WEBHOOK_SECRET: 'another-secret-of-24-char', PORT: String(port) };
      const { exitCode, stdout, stderr } = await run(['send-test'], wrong);
      assert.equal(exitCode, 1);
      assert.equal(stdout, '');
      assert.match(stderr, /^http_status: 401$/m);
      for (const name of ['title', 'detail', 'code']) assert.match(stderr, new RegExp(`^${name}: \\S`, 'm'));
      assert.ok(!stderr.includes('another-secret'));
      assert.equal(received.length, 0);
    });
  });

  it('says that a body which is not understood was kept', async () => {
    const errors = [{ path: '', message: 'is of kind request, and LOGS_INGESTION_STREAM is off' }];
    const refused = { outcome: 'quarantined', code: 'stream_off', detail: 'off', errors } as const;
    await withEdge({ receive: async () => refused }, async ({ port }) => {
      const { exitCode, stderr } = await run(['send-test'], { ...env, PORT: String(port) });
      assert.equal(exitCode, 1);
      assert.match(stderr, /^code: stream_off\nquarantined: true$/m);
    });
  });

  it('exits 1 when the outbox is full', async () => {
    await withEdge({ receive: async () => ({ outcome: 'full' }) }, async ({ port }) => {
      const { exitCode, stderr } = await run(['send-test'], { ...env, PORT: String(port) });
      assert.equal(exitCode, 1);
      assert.match(stderr, /^http_status: 503$/m);
    });
  });

  it('exits 1 when nobody listens', async () => {
    let port = 0;
    await withEdge({}, async (edge) => {
      port = edge.port;
    });
    const { exitCode, stderr } = await run(['send-test'], { ...env, PORT: String(port) });
    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      new RegExp(
        `^problem: No service answers at 127\\.0\\.0\\.1:${port}, which HOST and PORT name \\(.*ECONNREFUSED`,
        'm',
      ),
    );
    assert.match(stderr, /^fix: Start the service with `npm start`.*HOST and PORT/m);
    const given = await run(['send-test', '--json', '--url', `http://localhost:${port}/apono/webhook`], env);
    const { accepted, problem, fix } = JSON.parse(given.stdout);
    assert.equal(accepted, false);
    assert.match(problem, new RegExp(`^No service answers at localhost:${port}, which --url names`));
    assert.match(fix, /or correct --url/);
  });

  it('says in words why nothing answered', async (t) => {
    const silentServer = createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    await once(silentServer.listen(0, '127.0.0.1'), 'listening');
    t.after(() => silentServer.close());
    const { port: ssh } = silentServer.address() as AddressInfo;
    const resetting = await startStandIn(t, (request) => request.socket.resetAndDestroy());
    const plain = await startStandIn(t, (_, response) => response.end());
    const emulator = await startTestEmulator(t);
    const untrusted = emulator.origin;
    const cases: readonly (readonly [string, RegExp, RegExp])[] = [
      ['http://nobody.invalid/apono/webhook', /There is no address for the name nobody\.invalid/, /Correct the name/],
      [
        `http://127.0.0.1:${ssh}/`,
        /does not speak HTTP|closed before an answer came/,
        /Correct the port|Look at the log/,
      ],
      [`http://127.0.0.1:${resetting}/`, /was closed before an answer came/, /Look at the log of the service/],
      [`https://127.0.0.1:${plain}/`, /does not speak TLS/, /http:\/\//],
      [`${untrusted}/apono/webhook`, /The certificate of .* is not trusted/, /NODE_EXTRA_CA_CERTS/],
    ];
    for (const [url, problem, fix] of cases) {
      // The last one in a process of its own, which does not trust the emulator.
      const send = url.startsWith(untrusted) ? spawnCli : run;
      const { exitCode, stderr } = await send(['send-test', '--url', url], env);
      assert.equal(exitCode, 1, url);
      assert.match(stderr, problem);
      assert.match(stderr, fix);
      assert.ok(!stderr.includes(secret));
    }
  });

  it('shows what steers a terminal as codes, in the text and in the JSON', async (t) => {
    const nasty = 'red \u001b[31m, C1 \u009b31m, turned \u202e, bell \u0007';
    const answers = [JSON.stringify({ title: nasty, detail: nasty, code: 'x' }), `<html>${nasty}</html>`];
    for (const answer of answers) {
      const port = await startStandIn(t, (_, response) => response.writeHead(400).end(answer));
      for (const options of [[], ['--json']]) {
        const { stdout, stderr } = await run(['send-test', ...options], { ...env, PORT: String(port) });
        assert.match(stdout + stderr, /\\u001b\[31m, C1 \\u009b31m, turned \\u202e, bell \\u0007/);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
        assert.doesNotMatch(stdout + stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
        if (stdout !== '') assert.ok(JSON.stringify(JSON.parse(stdout)).includes('\u009b'), 'the value is what it was');
      }
    }
  });

  it('never shows the secret, even when what answers sends it back', async (t) => {
    const port = await startStandIn(t, (request, response) => {
      const title = `You said ${request.headers.authorization}`;
      response.writeHead(400, { 'content-type': 'application/problem+json' }).end(JSON.stringify({ title }));
    });
    for (const options of [[], ['--json']]) {
      const { exitCode, stdout, stderr } = await run(['send-test', ...options], { ...env, PORT: String(port) });
      assert.equal(exitCode, 1);
      assert.match(stdout + stderr, /You said Bearer \*\*\*/);
      assert.ok(!(stdout + stderr).includes(secret));
    }
  });

  it('does not follow a redirect with the secret', async (t) => {
    let followed = 0;
    const elsewhere = await startStandIn(t, (_, response) => {
      followed += 1;
      response.end();
    });
    const port = await startStandIn(t, (_, response) => {
      response.writeHead(307, { location: `http://127.0.0.1:${elsewhere}/` }).end('<html>moved</html>');
    });
    const { exitCode, stderr } = await run(['send-test'], { ...env, PORT: String(port) });
    assert.equal(exitCode, 1);
    assert.match(stderr, /^http_status: 307$/m);
    assert.match(stderr, /no answer of apono-sentinel/);
    assert.equal(followed, 0);
  });

  it('takes a 200 of something else for no success', async (t) => {
    for (const body of ['', 'OK', '[]', '{}', '{"status":"ok"}']) {
      const port = await startStandIn(t, (_, response) => response.end(body));
      assert.equal((await run(['send-test'], { ...env, PORT: String(port) })).exitCode, 1, body);
    }
  });

  it('exits 2 without a secret or with a URL that is none', async () => {
    const { exitCode, stderr } = await run(['send-test', '--url', 'ftp://x'], { APONO_WEBHOOK_SECRET: 'short' });
    assert.equal(exitCode, 2);
    assert.match(stderr, /^APONO_WEBHOOK_SECRET: .*\n--url: .*\n2 problems/);
    for (const url of ['', 'apono', 'https://me:pw@host/apono/webhook']) {
      assert.equal((await run(['send-test', '--url', url], env)).exitCode, 2, url);
    }
  });
});

describe('send-test --kind', () => {
  it('sends an event of that kind', async () => {
    await withEdge({}, async ({ port, received }) => {
      for (const { name } of kinds) {
        const sent = await run(['send-test', '--kind', name], { ...env, PORT: String(port) });
        assert.equal(sent.exitCode, 0, sent.stderr);
        const value = JSON.parse(Buffer.from(received.at(-1)?.bytes ?? []).toString());
        const recognized = recognize(value, kinds, null);
        assert.ok('kind' in recognized && recognized.kind.name === name);
      }
    });
  });

  it('exits 2 for a kind that there is not, lists those that there are, and sends nothing', async () => {
    await withEdge({}, async ({ port, received }) => {
      for (const kind of ['requests', '', '__proto__']) {
        const sent = await run(['send-test', '--kind', kind], { ...env, PORT: String(port) });
        assert.equal(sent.exitCode, 2);
        assert.ok(sent.stderr.includes(`Allowed choices are ${kinds.map(({ name }) => name).join(', ')}.\n`));
      }
      assert.equal(received.length, 0);
    });
  });
});

describe('the test event', () => {
  for (const kind of kinds) {
    it(`of kind ${kind.name} is a valid one of no other, and its row is marked as a test`, () => {
      const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
      const value = JSON.parse(JSON.stringify(testEvent(kind.name, nowMs, 'ab12cd34ef56ab12')));
      for (const fixed of [null, kind.name]) {
        const recognized = recognize(value, kinds, fixed);
        assert.ok('kind' in recognized && recognized.kind.name === kind.name);
      }
      assert.deepEqual(validate(kind, value), []);
      const meta = { receivedAt: nowMs, bodyForm: 'json', feed: null } as const;
      const [row, ...more] = mapToRows(kind, { eventId: 'v1-x', value, meta });
      assert.deepEqual([row?.['is_test'], more.length], [true, 0]);
      assert.match(String(row?.['event_time']), /^2026-01-02T03:04:05\.678/);
    });
  }

  it('is a valid request event whose rows are marked as a test', () => {
    const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
    const value = JSON.parse(JSON.stringify(testEvent('request', nowMs, 'ab12cd34ef56ab12')));
    assert.deepEqual(recognize(value, kinds, null), { kind: requestKind });
    assert.deepEqual(validate(requestKind, value), []);
    const meta = { receivedAt: nowMs, bodyForm: 'json', feed: null } as const;
    const [columns = {}, ...more] = mapToRows(requestKind, { eventId: 'v1-x', value, meta });
    assert.equal(more.length, 0);
    assert.equal(columns['is_test'], true);
    assert.equal(columns['request_friendly_id'], 'TEST-AB12CD');
    assert.equal(columns['requester_name'], 'Apono Sentinel test');
    assert.match(String(columns['event_time']), /^2026-01-02T03:04:05\.678/);
  });
});
