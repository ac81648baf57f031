import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { traceContextOf } from '../../src/http/exchange.ts';
import { bearer, post, send, withEdge } from './edge.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

test('a well-formed traceparent is in the log line of its webhook, and of another request', async () => {
  await withEdge({}, async ({ port, logs }) => {
    await post(port, '{}', { traceparent: `00-${traceId}-${spanId}-01` });
    await send(port, { method: 'GET', path: '/livez', headers: { traceparent: `00-${traceId}-${spanId}-00` } });
    assert.deepEqual(
      logs().map((line) => [line['route'], line['trace_id'], line['span_id']]),
      [
        ['webhook', traceId, spanId],
        ['livez', traceId, spanId],
      ],
    );
  });
});

test('one that is not well-formed is nowhere, and costs no event', async () => {
  await withEdge({}, async ({ port, logs }) => {
    const values = [
      '',
      `00-${traceId}-${spanId}`,
      `ff-${traceId}-${spanId}-01`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      `00-${'0'.repeat(32)}-${spanId}-01`,
      `00-${traceId}-${'0'.repeat(16)}-01`,
      `00-${traceId}-${spanId}-01-more`,
      `01-${traceId}-${spanId}-01more`,
      `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`,
      `00-${traceId}-${spanId}-01${'x'.repeat(5_000)}`,
    ];
    for (const traceparent of values) assert.equal((await post(port, '{}', { ...bearer, traceparent })).status, 200);
    assert.equal(logs().length, values.length);
    for (const line of logs()) assert.deepEqual([line['trace_id'], line['span_id']], [undefined, undefined]);
  });
});

test('a later version may say more behind the flags', () => {
  assert.deepEqual(traceContextOf(`cc-${traceId}-${spanId}-01-what-the-future-will-be-like`), { traceId, spanId });
});

test('whatever is sent, what is logged are hex digits', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0af-'), maxLength: 60 })), (header) => {
      const trace = traceContextOf(header);
      if (trace === null) return;
      assert.match(trace.traceId, /^[0-9a-f]{32}$/);
      assert.match(trace.spanId, /^[0-9a-f]{16}$/);
    }),
  );
});
