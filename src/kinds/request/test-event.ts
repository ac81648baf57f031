import type { JsonObject } from '../../ground/json.ts';
import { TEST_ID_PREFIX } from '../event-columns.ts';

/**
 * An event as Apono sends it, of a request that does not exist. The id starts with `apono-sentinel-test-`, which is how
 * its rows get `is_test`. `random`: what tells this event from other tests, letters and digits.
 */
export function createTestRequest(nowMs: number, random: string): JsonObject {
  const resourceType = { id: 'apono-sentinel-test', name: 'Test', display_path: 'Test' };
  const person = { id: 'apono-sentinel-test', name: 'Apono Sentinel test' };
  return {
    event_type: 'AccessRequestCreated',
    event_time: nowMs / 1000,
    data: {
      id: `${TEST_ID_PREFIX}${random}`,
      friendly_id: `TEST-${random.slice(0, 6).toUpperCase()}`,
      requester: { ...person, email: 'apono-sentinel-test@example.com' },
      grantee: { ...person, source_id: 'apono-sentinel-test@example.com', type: 'user' },
      justification: 'Sent by the send-test command of apono-sentinel to see whether events arrive.',
      creation_date: nowMs / 1000,
      revocation_date: null,
      access_flow: { id: 'apono-sentinel-test', name: 'Apono Sentinel test' },
      access_bundle: null,
      access_duration_in_seconds: 3600,
      access_groups: [
        {
          integration: { id: 'apono-sentinel-test', type: 'test', name: 'Apono Sentinel test' },
          resource_types: [resourceType],
          access_units: [
            {
              resource: { id: 'test-1', name: 'Test resource', path: 'test/test-1', type: resourceType },
              permission: { id: 'READ_ONLY', name: 'READ_ONLY' },
            },
          ],
        },
      ],
      approvals_logical_relation: 'AnyOf',
      approvals: [],
      custom_fields: {},
    },
  };
}
