import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import express from 'express';
import { classesOf } from '../../src/http/express-classes.ts';
import { send } from './edge.ts';

test('what Node makes in the classes of an app is left by Express as it is, and can all that Express gives', async () => {
  const app = express();
  app.set('trust proxy', 'loopback');
  app.post('/path', (request, response) => {
    const prototypes = [Object.getPrototypeOf(request), Object.getPrototypeOf(response)];
    response.status(201).json({
      ip: request.ip,
      path: request.path,
      type: request.get('content-type'),
      isSame: prototypes.every((prototype, index) => prototype === made[index]),
      isNodes: request instanceof IncomingMessage && response instanceof ServerResponse,
      isOfApp: request.app === app && response.app === app && request.res === response,
    });
  });
  let made: unknown[] = [];
  const server = createServer(classesOf(app), (request, response) => {
    made = [Object.getPrototypeOf(request), Object.getPrototypeOf(response)];
    app(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const headers = { 'content-type': 'text/plain', 'x-forwarded-for': '203.0.113.7' };
  const reply = await send((server.address() as AddressInfo).port, { path: '/path', headers });
  assert.equal(reply.status, 201);
  assert.deepEqual(reply.json, {
    ip: '203.0.113.7',
    path: '/path',
    type: 'text/plain',
    isSame: true,
    isNodes: true,
    isOfApp: true,
  });
  await new Promise((resolve) => server.close(resolve));
});
