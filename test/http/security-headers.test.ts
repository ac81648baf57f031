import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type OutgoingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setSecurityHeaders } from '../../src/http/security-headers.ts';
import { bearer, send, withEdge } from './edge.ts';

/** What a middleware could make a header depend on. */
const requests: { method: string; path: string; headers: OutgoingHttpHeaders }[] = [
  { method: 'POST', path: '/apono/webhook', headers: bearer },
  { method: 'POST', path: '/apono/webhook', headers: {} },
  { method: 'GET', path: '/livez', headers: { 'user-agent': 'Mozilla/5.0 (compatible; MSIE 8.0; Windows NT 6.1)' } },
  { method: 'GET', path: '/readyz', headers: { 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.7' } },
  { method: 'HEAD', path: '/healthz', headers: { accept: 'text/html', origin: 'https://example.com' } },
  { method: 'OPTIONS', path: '/nowhere', headers: { 'access-control-request-method': 'POST' } },
  { method: 'PUT', path: '/apono/webhook?a=b', headers: { ...bearer, host: 'webhooks.example.com:8443' } },
];

test('every answer has the headers that helmet itself sends for its request', async () => {
  const helmet = createServer((request, response) => {
    setSecurityHeaders(request, response, () => response.end());
  });
  helmet.listen(0, '127.0.0.1');
  await once(helmet, 'listening');
  const { port } = helmet.address() as AddressInfo;
  await withEdge({}, async (edge) => {
    for (const request of requests) {
      const { headers: fromHelmet } = await send(port, request);
      const { headers } = await send(edge.port, request);
      const { date: _date, connection: _connection, 'content-length': _length, ...security } = fromHelmet;
      assert.ok(Object.keys(security).length > 5);
      for (const [name, value] of Object.entries(security)) {
        if (name !== 'transfer-encoding') assert.equal(headers[name], value, `${request.path} ${name}`);
      }
    }
  });
  await new Promise((resolve) => helmet.close(resolve));
});
