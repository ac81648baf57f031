import { setTimeout as delay } from 'node:timers/promises';
import { azureError, type Call, type Reply } from './call.ts';
import { ingest, readPayload } from './ingestion.ts';
import type { AzureState } from './state.ts';

/** What may be wrong with the emulated ingestion, and what that looks like. Sign-in works all the time. */
export const faults = {
  '403': 'the role is missing',
  '429': 'the quota is used up: 429 with Retry-After: 5',
  down: 'an outage: 503',
  lossy: 'every other call is cut after its rows were stored',
  slow: 'each answer takes 5 seconds',
} as const;

export type Fault = keyof typeof faults;

export function isFault(name: string): name is Fault {
  return Object.hasOwn(faults, name);
}

const slowMs = 5_000;

/** One answer of the ingestion with a fault; null when the connection is to be cut. `before`: how many had it before. */
export async function faulty(state: AzureState, call: Call, fault: Fault, before: number): Promise<Reply | null> {
  const proper = (how = state): Reply => ingest(how, call, readPayload(call));
  switch (fault) {
    case '403':
      return proper({ ...state, publisherRole: false });
    case '429':
      return azureError(429, 'TooManyRequests', 'The request quota of the data collection rule is exceeded.', {
        'retry-after': '5',
      });
    case 'down':
      return azureError(503, 'ServiceUnavailable', 'The service is temporarily unavailable.');
    case 'lossy': {
      const reply = proper();
      return before % 2 === 0 ? null : reply;
    }
    case 'slow':
      // It keeps no process that has ended otherwise.
      await delay(slowMs, undefined, { ref: false });
      return proper();
  }
}
