import { eventActions } from '../apono/event.ts';
import { adminCodes, problemCodes } from '../http/problem-codes.ts';
import { quarantineCodes } from '../intake/quarantine-codes.ts';
import type { MetricSpecs } from './instruments.ts';

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
