import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logDelivery, type UploadEvent } from '../../src/delivery/event.ts';
import type { UploadResult } from '../../src/delivery/outcome.ts';
import { createLogger } from '../../src/ground/log.ts';

/** The line of one call. */
function lineOf(result: UploadResult, outcome: UploadEvent['outcome']): Record<string, unknown> {
  const lines: string[] = [];
  const log = createLogger('info', { write: (line) => void lines.push(line) });
  const stream = 'Custom-A_CL';
  logDelivery(log, {
    type: 'uploaded',
    stream,
    rows: 2,
    bytes: 90,
    durationMs: 12.6,
    outcome,
    result,
    duringHold: false,
  });
  assert.equal(lines.length, 1);
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
}

test('a call that got no answer says why, so that DNS, TLS and proxy can be told apart', () => {
  const message = 'ENOTFOUND: getaddrinfo ENOTFOUND rule.westeurope-1.ingest.monitor.azure.com';
  const line = lineOf({ type: 'unanswered', reason: 'network', message, clientRequestId: 'c-1' }, 'retry');
  assert.deepEqual(
    [line['level'], line['message'], line['outcome'], line['failure'], line['error'], line['client_request_id']],
    ['warn', 'upload', 'retry', 'network', message, 'c-1'],
  );
});

test('a call without a token names status and codes of the sign-in, and not what it said', () => {
  const message = 'login.microsoftonline.com answered HTTP 401 invalid_client';
  const said = 'AADSTS50034: The user account zoe@example.com does not exist';
  const failure = { code: 'token_refused', aadsts: null, message, said, isForeign: false } as const;
  const line = lineOf({ type: 'no_token', failure }, 'hold');
  assert.deepEqual([line['failure'], line['error'], line['aadsts']], ['no_token', message, null]);
  assert.doesNotMatch(JSON.stringify(line), /zoe/);
});

test('what Azure answered is named by its codes alone, since its message may quote a row', () => {
  const line = lineOf(
    {
      type: 'answered',
      status: 400,
      by: 'azure',
      proxy: null,
      code: 'InvalidRow',
      message: 'zoe@example.com is no datetime',
      clientRequestId: 'c-2',
      retryAfter: null,
    },
    'refused',
  );
  assert.deepEqual([line['status'], line['azure_code'], line['error']], [400, 'InvalidRow', undefined]);
  assert.doesNotMatch(JSON.stringify(line), /zoe/);
});
