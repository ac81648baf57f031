import type { FaultAnswer, FaultStep } from '../../support/azure/faults.ts';
import type { SeededRandom } from './random.ts';

const error = (code: string) => ({ error: { code, message: 'as planned' } });

/** What an unwell Azure does, each with its share of all calls; the rest is answered properly. */
const weather: readonly (readonly [share: number, answer: FaultAnswer])[] = [
  [0.05, { type: 'status', status: 204, processed: true, delayMs: 150 }],
  [0.05, { type: 'status', status: 429, headers: { 'retry-after': '1' }, body: error('Throttled') }],
  [0.05, { type: 'status', status: 500, body: error('InternalServerError') }],
  [0.03, { type: 'status', status: 403, body: error('OperationFailed') }],
  [0.08, { type: 'status', status: 413, body: error('ContentLengthLimitExceeded') }],
  [0.02, { type: 'hang' }],
  [0.02, { type: 'hang', processed: true }],
  [0.04, { type: 'reset' }],
  [0.04, { type: 'reset', processed: true }],
  [0.02, { type: 'reset', processed: true, at: 'half_body' }],
];

/** Each step is asked in turn, so a share is made one of what the steps before it leave. */
export function storm(random: SeededRandom): FaultStep[] {
  let left = 1;
  return weather.map(([share, answer]) => {
    const chance = share / left;
    left -= share;
    return { target: 'ingest', times: 'forever', answer, matches: () => random.next() < chance };
  });
}
