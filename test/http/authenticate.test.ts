import assert from 'node:assert/strict';
import type { OutgoingHttpHeaders } from 'node:http';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { authenticate } from '../../src/http/authenticate.ts';
import { manualClock } from '../support/manual-clock.ts';
import { assertProblem, bearer, openRaw, post, previousSecret, secret, send, withEdge } from './edge.ts';

describe('takes the secret', () => {
  const accepted: [string, OutgoingHttpHeaders][] = [
    ['as a Bearer value', { authorization: `Bearer ${secret}` }],
    ['with the scheme in any case', { authorization: `bEARER ${secret}` }],
    ['with several spaces behind the scheme', { authorization: `Bearer   ${secret}` }],
    ['as X-Webhook-Secret', { 'x-webhook-secret': secret }],
    [
      'as X-Webhook-Secret beside a wrong Bearer value',
      { 'x-webhook-secret': secret, authorization: 'Bearer proxy-token' },
    ],
    ['as X-Webhook-Secret beside Basic', { 'x-webhook-secret': secret, authorization: 'Basic dXNlcjpwYXNz' }],
    ['as Bearer beside a wrong X-Webhook-Secret', { 'x-webhook-secret': 'wrong-wrong-wrong', ...bearer }],
    [
      'in the second of two Authorization headers',
      { authorization: ['Bearer wrong', `Bearer ${secret}`] as unknown as string },
    ],
    ['in the second of two X-Webhook-Secret headers', { 'x-webhook-secret': ['wrong', secret] }],
    ['that was valid before', { authorization: `Bearer ${previousSecret}` }],
  ];
  for (const [name, headers] of accepted) {
    test(name, async () => {
      await withEdge({ webhook: { previousSecret } }, async ({ port }) => {
        assert.equal((await send(port, { headers, body: '{}' })).status, 200);
      });
    });
  }
});

describe('fails closed', () => {
  const refused: [string, OutgoingHttpHeaders, string][] = [
    ['nothing sent', {}, 'secret_missing'],
    ['an empty X-Webhook-Secret', { 'x-webhook-secret': '' }, 'secret_missing'],
    ['an empty Authorization', { authorization: '' }, 'authorization_not_bearer'],
    ['Bearer without a value', { authorization: 'Bearer' }, 'authorization_not_bearer'],
    ['Bearer with nothing but spaces', { authorization: 'Bearer    ' }, 'authorization_not_bearer'],
    ['Basic', { authorization: 'Basic dXNlcjpwYXNz' }, 'authorization_not_bearer'],
    ['the bare secret as Authorization', { authorization: secret }, 'authorization_not_bearer'],
    ['another scheme before the secret', { authorization: `Token ${secret}` }, 'authorization_not_bearer'],
    ['a wrong Bearer value', { authorization: 'Bearer wrong-wrong-wrong' }, 'secret_wrong'],
    ['a wrong X-Webhook-Secret', { 'x-webhook-secret': 'wrong-wrong-wrong' }, 'secret_wrong'],
    ['a prefix of the secret', { authorization: `Bearer ${secret.slice(0, -1)}` }, 'secret_wrong'],
    ['the secret and more', { authorization: `Bearer ${secret}x` }, 'secret_wrong'],
    ['the secret in another case', { authorization: `Bearer ${secret.toUpperCase()}` }, 'secret_wrong'],
    ['the secret in quotes', { authorization: `Bearer "${secret}"` }, 'secret_wrong'],
    ['the secret twice in one value', { authorization: `Bearer ${secret} ${secret}` }, 'secret_wrong'],
    ['two values joined with a comma', { authorization: `Bearer wrong, Bearer ${secret}` }, 'secret_wrong'],
    ['Bearer inside X-Webhook-Secret', { 'x-webhook-secret': `Bearer ${secret}` }, 'secret_wrong'],
    ['the previous secret when none is set', { authorization: `Bearer ${previousSecret}` }, 'secret_wrong'],
    ['the word null', { authorization: 'Bearer null' }, 'secret_wrong'],
    ['two wrong headers', { 'x-webhook-secret': 'wrong', authorization: 'Bearer wrong' }, 'secret_wrong'],
    ['the secret in a cookie', { cookie: `authorization=Bearer ${secret}` }, 'secret_missing'],
    ['the secret in another header', { 'x-api-key': secret }, 'secret_missing'],
  ];
  for (const [name, headers, code] of refused) {
    test(name, async () => {
      await withEdge({}, async ({ port, received }) => {
        const reply = await send(port, { headers, body: '{"a":1}' });
        assertProblem(reply, 401, code);
        assert.match(String(reply.headers['www-authenticate']), /^Bearer\b/);
        assert.doesNotMatch(reply.text, /correct-horse|wrong-wrong/);
        assert.equal(received.length, 0);
      });
    });
  }

  test('the secret in the query', async () => {
    await withEdge({}, async ({ port, logText }) => {
      assertProblem(await send(port, { path: `/apono/webhook?secret=${secret}` }), 401, 'secret_missing');
      assert.doesNotMatch(logText(), /correct-horse/);
    });
  });

  test('a wrong secret is refused before anything is said about the body', async () => {
    await withEdge({}, async ({ port }) => {
      const headers = { 'content-encoding': 'nonsense', 'content-length': '99999999999' };
      const raw = openRaw(port);
      raw.socket.write(
        `POST /apono/webhook HTTP/1.1\r\nHost: a\r\n${Object.entries(headers)
          .map(([name, value]) => `${name}: ${value}\r\n`)
          .join('')}\r\n`,
      );
      assert.match(await raw.until(/request_id/), /^HTTP\/1\.1 401 /);
      raw.socket.destroy();
      await raw.closed;
    });
  });
});

test('a secret in any script is compared byte for byte as UTF-8', async () => {
  await withEdge({ webhook: { secret: 'Geheimnis-Straße-東京' } }, async ({ port }) => {
    const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
    for (const headers of [
      { authorization: latin1('Bearer Geheimnis-Straße-東京') },
      { 'x-webhook-secret': latin1('Geheimnis-Straße-東京') },
    ]) {
      assert.equal((await send(port, { headers, body: '{}' })).status, 200);
    }
    // The same text in another normal form, and as ISO 8859-1.
    const other = latin1('Bearer Geheimnis-Straße-東京'.normalize('NFKD').replace('ß', 'ss'));
    assertProblem(await send(port, { headers: { authorization: other } }), 401, 'secret_wrong');
    assertProblem(await send(port, { headers: { authorization: 'Bearer Geheimnis-Straße' } }), 401, 'secret_wrong');
  });
});

test('spaces around a value belong to HTTP, not to the secret', async () => {
  await withEdge({}, async ({ port }) => {
    const raw = openRaw(port);
    const body = 'Content-Length: 2\r\n\r\n{}';
    raw.socket.write(`POST /apono/webhook HTTP/1.1\r\nHost: a\r\nX-Webhook-Secret: \t ${secret} \t \r\n${body}`);
    assert.match(await raw.until(/"rows"/), /^HTTP\/1\.1 200 /);
    raw.socket.destroy();
    await raw.closed;
  });
});

test('only a value that is the secret, or the previous one, is ever taken', () => {
  const near = fc.oneof(
    fc.string(),
    fc.constantFrom(secret, previousSecret, ` ${secret}`, `${secret}\0`, secret.slice(1)),
    fc.string().map((tail) => secret + tail),
  );
  const headers = fc.record(
    {
      authorization: fc.array(
        fc.oneof(
          near,
          near.map((value) => `Bearer ${value}`),
        ),
      ),
      'x-webhook-secret': fc.array(near),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(headers, (sent) => {
      const values = [...(sent['x-webhook-secret'] ?? [])];
      for (const value of sent.authorization ?? []) {
        const token = /^bearer +(\S.*)$/i.exec(value)?.[1];
        if (token !== undefined) values.push(token);
      }
      const result = authenticate(sent, secret, previousSecret);
      assert.equal(result === 'current', values.includes(secret));
      assert.equal(result === 'previous', !values.includes(secret) && values.includes(previousSecret));
    }),
  );
});

test('the last use of the previous secret is remembered, and logged', async () => {
  const clock = manualClock(Date.UTC(2026, 1, 3, 4, 5, 6));
  await withEdge({ clock, webhook: { previousSecret } }, async ({ port, logs }) => {
    const before = await send(port, { method: 'GET', path: '/healthz' });
    assert.equal(before.json['previous_secret_last_used_at'], null);
    await post(port, '{}');
    assert.equal(logs().find(({ route }) => route === 'webhook')?.['secret'], undefined);
    await send(port, { headers: { 'x-webhook-secret': previousSecret }, body: '{}' });
    clock.advance(60_000);
    const after = await send(port, { method: 'GET', path: '/healthz' });
    assert.equal(after.json['previous_secret_last_used_at'], '2026-02-03T04:05:06.000Z');
    assert.equal(logs().filter((line) => line['secret'] === 'previous').length, 1);
  });
});
