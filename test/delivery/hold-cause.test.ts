import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HoldCause, holdCauseOf, holdCauses } from '../../src/delivery/hold-cause.ts';
import type { UploadResult } from '../../src/delivery/ingestion.ts';
import { outcomeOf } from '../../src/delivery/outcome.ts';

const answered = (status: number, code: string | null): UploadResult => ({
  type: 'answered',
  status,
  code,
  message: null,
  retryAfter: null,
  clientRequestId: 'c',
});

test('every answer that holds a stream has its cause', () => {
  const causes: readonly (readonly [UploadResult, HoldCause])[] = [
    [answered(403, null), 'role'],
    [answered(404, 'NotFound'), 'rule'],
    [answered(400, 'InvalidStream'), 'stream'],
    [answered(401, null), 'token'],
    [{ type: 'no_token', refused: true, aadsts: 'AADSTS7000222', message: '' }, 'token'],
    [answered(407, null), 'other'],
    [answered(302, null), 'other'],
  ];
  for (const [result, cause] of causes) {
    assert.equal(outcomeOf(result, 0).type, 'hold');
    assert.equal(holdCauseOf(result), cause);
  }
  assert.deepEqual(new Set(causes.map(([, cause]) => cause)), new Set(holdCauses));
});

test('a stream that refuses [] too is the cause of its hold, whatever the 400 is called', () => {
  assert.equal(holdCauseOf(answered(400, 'SomethingNew')), 'stream');
});
