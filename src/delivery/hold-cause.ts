import type { UploadResult } from './ingestion.ts';

/** What a person has to look at when a stream is on hold, as the metric `apono_sentinel_hold` names it. */
export const holdCauses = ['role', 'rule', 'stream', 'token', 'other'] as const;

export type HoldCause = (typeof holdCauses)[number];

/** By the answer that brought the hold about; what is to be done in words is azure/fixes.ts's to say. */
export function holdCauseOf(result: UploadResult): HoldCause {
  if (result.type === 'no_token') return 'token';
  if (result.type === 'unanswered') return 'other';
  switch (result.status) {
    case 400:
      return 'stream';
    case 401:
      return 'token';
    case 403:
      return 'role';
    case 404:
      return 'rule';
    default:
      return 'other';
  }
}
