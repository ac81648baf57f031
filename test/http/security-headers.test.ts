import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAdmin } from '../admin/fixture.ts';
import { bearer, send, withEdge } from './edge.ts';

const requests = [
  { method: 'POST', path: '/apono/webhook', headers: bearer },
  { method: 'POST', path: '/apono/webhook', headers: {} },
  { method: 'PUT', path: '/apono/webhook?a=b', headers: { ...bearer, host: 'webhooks.example.com:8443' } },
  { method: 'GET', path: '/livez', headers: { 'user-agent': 'Mozilla/5.0 (compatible; MSIE 8.0; Windows NT 6.1)' } },
  { method: 'GET', path: '/readyz', headers: { 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.7' } },
  { method: 'HEAD', path: '/healthz', headers: { accept: 'text/html', origin: 'https://example.com' } },
  { method: 'OPTIONS', path: '/nowhere', headers: { 'access-control-request-method': 'POST' } },
  { method: 'GET', path: '/%', headers: {} },
] as const;

const expected = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
};

test('every answer of both ports has the headers of something that is never a page', async (t) => {
  const admin = await startAdmin(t);
  await withEdge({}, async (edge) => {
    for (const port of [edge.port, admin.port]) {
      for (const request of requests) {
        const { headers } = await send(port, request);
        const found = Object.keys(expected).map((name) => [name, headers[name]]);
        assert.deepEqual(Object.fromEntries(found), expected, `${request.method} ${request.path}`);
        assert.equal(headers['x-powered-by'], undefined);
      }
    }
  });
});
