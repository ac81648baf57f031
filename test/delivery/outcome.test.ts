import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type HoldCode,
  holdCodes,
  outcomeOf,
  type TokenFailure,
  type UploadResult,
} from '../../src/delivery/outcome.ts';

type Answered = Extract<UploadResult, { type: 'answered' }>;

function answered(status: number, code: string | null = null, more: Partial<Answered> = {}): Answered {
  const rest = { proxy: null, message: null, retryAfter: null, clientRequestId: 'c' };
  return { type: 'answered', by: 'azure', status, code, ...rest, ...more };
}

function noToken(code: TokenFailure['code'], isForeign: boolean): UploadResult {
  return { type: 'no_token', failure: { code, aadsts: 'AADSTS7000222', message: '', said: null, isForeign } };
}

test('every answer that holds a stream has its code', () => {
  const codes: readonly (readonly [UploadResult, HoldCode])[] = [
    [answered(403), 'role_missing'],
    [answered(404, 'NotFound'), 'rule_not_found'],
    [answered(400, 'InvalidStream'), 'stream_refused'],
    [answered(401), 'token_rejected'],
    [noToken('token_refused', false), 'token_refused'],
    [noToken('token_unreachable', true), 'not_azure'],
    [answered(405), 'azure_refused'],
    [answered(302), 'not_azure'],
    [answered(200), 'not_azure'],
    [answered(202), 'not_azure'],
    [answered(403, null, { by: 'unmarked' }), 'not_azure'],
    [answered(400, null, { by: 'page' }), 'not_azure'],
    [answered(503, null, { by: 'page' }), 'not_azure'],
    [answered(204, null, { by: 'proxy' }), 'not_azure'],
    [answered(502, null, { by: 'proxy' }), 'not_azure'],
  ];
  for (const [result, code] of codes)
    assert.deepEqual(outcomeOf(result, 0), { type: 'hold', code }, JSON.stringify(result));
  // These two are found out by more than one answer.
  const others: readonly HoldCode[] = ['rows_refused', 'stream_off'];
  assert.deepEqual(new Set([...codes.map(([, code]) => code), ...others]), new Set(holdCodes));
});

test('204 alone is a delivery, and only what Azure itself answers can make a dead letter', () => {
  const answer = fc.record({
    status: fc.integer({ min: 200, max: 599 }),
    by: fc.constantFrom('azure', 'unmarked', 'page', 'proxy'),
    code: fc.constantFrom(null, 'InvalidStream', 'BadRow', 'ContentLengthLimitExceeded', 'TimeoutExpired'),
  });
  fc.assert(
    fc.property(answer, ({ status, by, code }) => {
      const outcome = outcomeOf(answered(status, code, { by }), 0);
      const { type } = outcome;
      assert.equal(type === 'delivered', status === 204 && by !== 'proxy');
      if (type === 'refused') assert.equal(by, 'azure');
      if (outcome.type === 'split') assert.equal(outcome.alone?.type === 'hold', by === 'unmarked');
      if (by === 'page' && status !== 204) assert.equal(type, 'hold');
      if (status >= 500 && (by === 'azure' || by === 'unmarked')) assert.equal(type, 'retry');
    }),
  );
});

test('413 because the body came too slowly says nothing about the row, 413 because of its length does', () => {
  const alone = (code: string | null, message: string | null, by: 'azure' | 'unmarked' = 'azure') => {
    const outcome = outcomeOf(answered(413, code, { message, by }), 0);
    assert.ok(outcome.type === 'split');
    return outcome.alone;
  };
  const again = { type: 'retry', retryAfterMs: null };
  assert.deepEqual(alone('TimeoutExpired', 'ReadyBody_ClientConnectionAbort'), again);
  assert.deepEqual(alone(null, 'ReadyBody_ClientConnectionAbort'), again);
  assert.equal(alone('ContentLengthLimitExceeded', 'Maximum allowed content length: 1048576 bytes (1 MB).'), null);
  assert.equal(alone(null, null), null);
  const held = { type: 'hold', code: 'not_azure' };
  assert.deepEqual(alone(null, null, 'unmarked'), held, 'what has a lower limit than Azure');
});
