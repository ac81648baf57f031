import type { MetricSpecs } from './spec.ts';
import { deliveryMetrics } from './table-delivery.ts';
import { heartbeatMetrics } from './table-heartbeat.ts';
import { outboxMetrics } from './table-outbox.ts';
import { webhookMetrics } from './table-webhooks.ts';

const tokenAndServiceMetrics = {
  tokenExpiry: {
    name: 'apono_sentinel_token_expiry_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds since the epoch',
    part: 'Token',
    help: 'When the last token that was obtained expires (or did); 0: none yet.',
    labels: [{}],
  },
  tokenAge: {
    name: 'apono_sentinel_token_age_seconds',
    type: 'gauge',
    unit: 'seconds',
    part: 'Token',
    help: 'How long ago it was obtained; 0 as long as there is none.',
    labels: [{}],
  },
  tokenRefreshes: {
    name: 'apono_sentinel_token_refreshes_total',
    type: 'counter',
    unit: 'tries',
    part: 'Token',
    help: 'Tries to get a token: obtained, refused by who judges the sign-in, or unreachable. Trigger "background": ahead of the expiry; "call": an upload waits for it.',
    labels: [{ result: ['obtained', 'refused', 'unreachable'], trigger: ['background', 'call'] }],
  },
  credentialExpiry: {
    name: 'apono_sentinel_credential_expiry_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds since the epoch',
    part: 'Token',
    help: 'When the certificate of the sign-in ends, or the client secret by AZURE_CLIENT_SECRET_EXPIRES; 0: not known.',
    labels: [{}],
  },
  buildInfo: {
    name: 'apono_sentinel_build_info',
    type: 'gauge',
    unit: 'always 1',
    part: 'Service',
    help: 'The version of the service and of Node.',
    labels: [{ version: 'version', node_version: 'node_version' }],
  },
} as const satisfies MetricSpecs;

/**
 * Every metric of this service's own: the single source of the instruments (metrics-instruments.ts), of docs/metrics.md
 * (metrics-document.ts) and of the tests that hold alarms and dashboard to it. The rule for the names is written in
 * docs/metrics.md.
 */
export const metricTable = {
  ...webhookMetrics,
  ...outboxMetrics,
  ...deliveryMetrics,
  ...heartbeatMetrics,
  ...tokenAndServiceMetrics,
};

export type MetricTable = typeof metricTable;
