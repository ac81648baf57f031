import { eventActions } from '../apono/event.ts';
import { holdCodes } from '../delivery/outcome.ts';
import { adminCodes, problemCodes } from '../http/problem-codes.ts';
import { quarantineCodes } from '../intake/quarantine-codes.ts';

/** Values that are known only when the service starts. */
export type Dimension = 'kinds' | 'streams';

/** The values of each label; together they stand for every combination. */
export type LabelSet = Readonly<Record<string, readonly string[] | Dimension>>;

/** A name that ends in `_total` is a counter's, and what has buckets is a histogram; all others are gauges. */
export interface MetricSpec {
  /** Of a gauge, where its name does not say it. */
  readonly unit?: string;
  readonly help: string;
  /** The label sets, each with the same labels. A series exists for each of them from the start. Absent: no labels. */
  readonly labels?: readonly LabelSet[];
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[];
}

export type MetricSpecs = Readonly<Record<string, MetricSpec>>;

/** Any other method counts as `other`. */
export const knownMethods = ['GET', 'HEAD', 'POST', 'PUT'] as const;

export const webhookMetrics = {
  http_requests_total: {
    help: 'Requests by route, method and status; code="none": the caller went away before an answer. What the admin port refuses for token, Host or Origin has the route admin.',
    labels: [
      {
        route: ['webhook'],
        method: ['POST', 'PUT'],
        code: ['200', '400', '401', '403', '408', '413', '415', '422', '429', '500', '503', 'none'],
      },
      { route: ['webhook'], method: ['GET', 'HEAD', 'other'], code: ['405'] },
      { route: ['livez', 'metrics'], method: ['GET', 'HEAD'], code: ['200', '500'] },
      { route: ['readyz', 'healthz'], method: ['GET', 'HEAD'], code: ['200', '500', '503'] },
      { route: ['admin'], method: ['GET', 'HEAD', 'POST'], code: ['200', '400', '404', '500', '503'] },
      { route: ['admin'], method: ['POST'], code: ['413', '415'] },
      { route: ['admin'], method: [...knownMethods, 'other'], code: ['401', '403', '405', '429'] },
      { route: ['livez', 'readyz', 'healthz', 'metrics'], method: ['POST', 'PUT', 'other'], code: ['405'] },
      { route: ['other'], method: [...knownMethods, 'other'], code: ['400', '404', '500'] },
    ],
  },
  http_request_duration_seconds: {
    help: 'From the headers of a request to its answer, the commit included.',
    labels: [{ route: ['webhook', 'livez', 'readyz', 'healthz', 'metrics', 'admin', 'other'] }],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  http_problems_total: {
    help: 'Requests that were answered with an error, by code; request_aborted: the caller went away.',
    labels: [{ code: [...Object.keys({ ...problemCodes, ...quarantineCodes, ...adminCodes }), 'request_aborted'] }],
  },
  authentications_total: {
    help: 'Webhook requests by their secret, and which of the two matched.',
    labels: [
      { result: ['accepted'], secret: ['current', 'previous'] },
      { result: ['missing', 'not_bearer', 'wrong'], secret: ['none'] },
    ],
  },
  previous_secret_last_used_timestamp_seconds: { help: 'When APONO_WEBHOOK_SECRET_PREVIOUS last matched.' },
  events_total: {
    help: 'Events by outcome. A body that was quarantined or rejected (authentic, and not kept) counts as one of kind and action "none".',
    labels: [
      { kind: 'kinds', action: eventActions, outcome: ['accepted', 'duplicate'] },
      { kind: ['none'], action: ['none'], outcome: ['quarantined', 'rejected'] },
    ],
  },
  accepted_rows_total: { help: 'Rows of accepted events, without duplicates.', labels: [{ kind: 'kinds' }] },
  events_with_invalid_fields_total: {
    help: 'Accepted events, without duplicates, with a field that could not be read.',
    labels: [{ kind: 'kinds' }],
  },
  last_accepted_timestamp_seconds: {
    help: 'When an event was last accepted, duplicates included.',
    labels: [{ kind: 'kinds' }],
  },
} as const satisfies MetricSpecs;

const outboxStates = ['waiting', 'held', 'dead', 'quarantined'] as const;

export const outboxMetrics = {
  outbox_events: {
    help: 'Events that wait for Azure, wait for the end of a hold, or have dead letters, and bodies in quarantine.',
    labels: [{ state: outboxStates }],
  },
  outbox_bytes: {
    help: 'Size of their bodies; that of waiting includes held.',
    labels: [{ state: ['waiting', 'dead', 'quarantined'] }],
  },
  outbox_oldest_age_seconds: {
    help: 'How long ago the oldest of them was received; 0: there is none. The alarm is on waiting and held.',
    labels: [{ state: outboxStates }],
  },
  outbox_used_bytes: {
    help: 'What the outbox takes on the disk: data, which OUTBOX_MAX_BYTES limits, and the write-ahead log.',
  },
  outbox_log_bytes: {
    help: 'Size of outbox.db-wal, the write-ahead log; 0 with PostgreSQL. It grows past 16 MiB only while another program reads in an open transaction.',
  },
  outbox_max_bytes: { help: 'OUTBOX_MAX_BYTES: past it webhooks are answered 503.' },
  outbox_writable: {
    unit: '1 or 0',
    help: 'Whether the outbox would take an event now. 0 too if it does not answer within 2 s; the other values are then the last ones known, and ages go on.',
  },
  outbox_damaged: {
    unit: '1 or 0',
    help: 'Whether a damaged database is set aside that nobody has salvaged or removed yet.',
  },
  outbox_commit_duration_seconds: {
    help: 'How long a commit of new events took, sync included.',
    labels: [{ outcome: ['committed', 'full', 'failed'] }],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  outbox_commit_group_puts: {
    help: 'Webhooks that shared one commit.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
  },
  outbox_commit_group_events: {
    help: 'Events, quarantined bodies included, that shared one commit.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000],
  },
  outbox_failures_total: {
    help: 'Times that delivery could not take events (claim) or record what became of them (settle). It tries again.',
    labels: [{ operation: ['claim', 'settle'] }],
  },
  outbox_troubles_total: {
    help: 'Times that the database could not store webhooks (commit), record what became of events (settle), read, fold in its write-ahead log (checkpoint), or remember identities for DEDUP_DAYS (prune).',
    labels: [{ operation: ['commit', 'settle', 'read', 'checkpoint', 'prune'] }],
  },
  disk_free_bytes: { help: 'Free on the file system of DATA_DIR, for this user; 0 with a size of 0: not known.' },
  disk_size_bytes: { help: 'Size of the file system of DATA_DIR.' },
} as const satisfies MetricSpecs;

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
    // One series, which the service sets when it starts.
    labels: [{ version: [], node_version: [] }],
  },
} as const satisfies MetricSpecs;

/** Every metric of this service's own, under its name without the prefix; docs/metrics.md states the rule for names. */
export const metricTable = {
  ...webhookMetrics,
  ...outboxMetrics,
  ...deliveryMetrics,
  ...heartbeatMetrics,
  ...tokenMetrics,
  ...serviceMetrics,
};
