import { holdCodes } from '../delivery/outcome.ts';
import type { MetricSpecs } from './instruments.ts';

/** The codes of dead letters that delivery makes; salvage has one of its own. */
export const buriedCodes = ['row_too_large', 'refused_by_azure'] as const;

/** Statuses and failures of a call by what they mean. A status that is not listed counts as its class, such as `5xx`. */
export const uploadCodes = {
  delivered: ['204'],
  retry: ['408', '429', '500', '502', '503', '504', '5xx', 'network', 'timeout', 'aborted', 'no_token'],
  split: ['413'],
  refused: ['400'],
  hold: ['2xx', '3xx', '400', '401', '403', '404', '407', '413', '4xx', '5xx', 'no_token'],
} as const;

export const deliveryMetrics = {
  uploads_total: {
    help: 'Calls to the Logs Ingestion API by outcome, and status or failure. Calls without rows, which prove the stream, count too.',
    labels: Object.entries(uploadCodes).map(([outcome, code]) => ({
      stream: 'streams' as const,
      outcome: [outcome],
      code,
    })),
  },
  upload_duration_seconds: {
    help: 'How long a call took, the wait for a token included.',
    labels: [{ stream: 'streams', outcome: Object.keys(uploadCodes) }],
    buckets: [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60],
  },
  upload_rows: {
    help: 'Rows in a call that carried any.',
    labels: [{ stream: 'streams' }],
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000],
  },
  upload_bytes: {
    help: 'JSON in a call that carried rows, before compression. The most is 950,000.',
    labels: [{ stream: 'streams' }],
    buckets: [1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 950000],
  },
  delivered_rows_total: { help: 'Rows that Azure took.', labels: [{ stream: 'streams' }] },
  delivery_latency_seconds: {
    help: 'From the receipt of an event until Azure took rows of it. An event that needs several calls counts once for each.',
    labels: [{ stream: 'streams' }],
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400],
  },
  last_delivery_timestamp_seconds: { help: 'When Azure last took rows.', labels: [{ stream: 'streams' }] },
  delivery_retries_total: {
    help: 'Pauses before another try after a failure that passes.',
    labels: [{ stream: 'streams' }],
  },
  hold: {
    unit: '1 or 0',
    help: 'Whether a stream is on hold, and why. A kind whose stream is off while its events wait has the stream `off`.',
    labels: [
      { stream: 'streams', reason: holdCodes },
      { stream: ['off'], reason: ['stream_off'] },
    ],
  },
  hold_since_timestamp_seconds: { help: 'When the hold began.', labels: [{ stream: 'streams' }, { stream: ['off'] }] },
  dead_rows_total: {
    help: 'Rows that became dead letters, and why.',
    labels: [{ stream: 'streams', code: buriedCodes }],
  },
  delivery_defects_total: { help: 'Defects that delivery met. It goes on.', labels: [{ stream: 'streams' }] },
} as const satisfies MetricSpecs;

export const heartbeatMetrics = {
  heartbeats_total: {
    help: 'Tries to send a heartbeat: delivered, failed for a reason that passes (retry), or for one that needs a person (hold).',
    labels: [{ outcome: ['delivered', 'retry', 'hold'] }],
  },
  last_heartbeat_timestamp_seconds: { help: 'When Azure last took one.' },
} as const satisfies MetricSpecs;

export const tokenMetrics = {
  token_expiry_timestamp_seconds: { help: 'When the last token that was obtained expires (or did).' },
  token_age_seconds: { help: 'How long ago it was obtained; 0: none yet.' },
  token_refreshes_total: {
    help: 'Tries to get a token. Trigger "background": ahead of the expiry; "call": an upload waits for it.',
    labels: [{ result: ['obtained', 'refused', 'unreachable'], trigger: ['background', 'call'] }],
  },
  credential_expiry_timestamp_seconds: {
    help: 'When the certificate of the sign-in ends, or the client secret by AZURE_CLIENT_SECRET_EXPIRES.',
  },
} as const satisfies MetricSpecs;

export const serviceMetrics = {
  build_info: {
    unit: 'always 1',
    help: 'The version of the service and of Node.',
    labels: [{ version: 'version', node_version: 'node_version' }],
  },
} as const satisfies MetricSpecs;
