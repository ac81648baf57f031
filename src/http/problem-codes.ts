import { type ProblemCodeInfo, quarantineCodes } from '../intake/quarantine-codes.ts';

/** `detail` of the answer says meaning and remedy, unless it says more. `retryAfterSeconds`: its Retry-After. */
export type EdgeCodeInfo = ProblemCodeInfo & { readonly meaning: string; readonly retryAfterSeconds?: number };

/** Every code that the webhook port answers with by itself; the admin port shares some of them. */
export const problemCodes = {
  body_not_decompressible: {
    status: 400,
    title: 'The body cannot be decompressed',
    meaning:
      'The body is not what its Content-Encoding says, is cut short, or has bytes after its end. It is quarantined only if it is plain JSON.',
    remedy: 'Send it without Content-Encoding, or compress it correctly.',
  },
  host_invalid: {
    status: 400,
    title: 'The Host header is missing or not clear',
    meaning: 'A request must have exactly one Host header with one value (RFC 9112, 3.2). The body is not read.',
    remedy: 'Correct the sender, or the reverse proxy or load balancer in front.',
  },
  secret_missing: {
    status: 401,
    title: 'The shared secret is missing',
    meaning: 'The request has neither an Authorization nor an X-Webhook-Secret header.',
    remedy: 'Send "Authorization: Bearer <secret>" or "X-Webhook-Secret: <secret>".',
  },
  authorization_not_bearer: {
    status: 401,
    title: 'The Authorization header is not a Bearer value',
    meaning: 'The Authorization header is not of the form "Bearer <secret>".',
    remedy: 'Put the word Bearer and a space before the secret.',
  },
  secret_wrong: {
    status: 401,
    title: 'The shared secret is wrong',
    meaning: 'The secret that was sent is not APONO_WEBHOOK_SECRET.',
    remedy:
      'Compare the header in Apono with the secret of this service: whole, without quotes. An OAuth token is not accepted.',
  },
  address_not_allowed: {
    status: 403,
    title: 'This address may not send webhooks',
    meaning: 'ALLOWED_CIDRS does not hold the address that the request comes from.',
    remedy: 'Add the address to ALLOWED_CIDRS; if it is the reverse proxy, set TRUST_PROXY.',
  },
  not_found: {
    status: 404,
    title: 'There is nothing at this path',
    meaning: 'Webhooks are received at /apono/webhook and /apono/webhook/<kind>.',
    remedy: 'Correct the path of the URL.',
  },
  method_not_allowed: {
    status: 405,
    title: 'This method is not allowed here',
    meaning: 'Webhooks are received with POST or PUT.',
    remedy: 'Choose POST in Apono, elsewhere a method that the Allow header names.',
  },
  body_too_slow: {
    status: 408,
    title: 'The body came too slowly',
    meaning: 'The body did not arrive whole within the time limit. It is not kept.',
    remedy: 'Send it again. If it happens often, look at the network in between.',
  },
  body_too_large: {
    status: 413,
    title: 'The body is too large',
    meaning: 'The body is larger than MAX_BODY_BYTES, as it came or decompressed. It is not kept.',
    remedy: 'Raise MAX_BODY_BYTES, or make the body template shorter.',
  },
  encoding_unsupported: {
    status: 415,
    title: 'The encoding of the body is not supported',
    meaning:
      'The Content-Encoding is not known here, or there are several. The body is quarantined only if it is plain JSON all the same.',
    remedy: 'Use an encoding that the Accept-Encoding header of the answer names, or none.',
  },
  too_many_failures: {
    status: 429,
    title: 'Too many requests without the right secret',
    meaning: 'This address sent too many requests without the right secret within a minute.',
    remedy: 'Correct the secret. A request with the right one is taken at any time.',
  },
  internal_error: {
    status: 500,
    title: 'The service failed',
    meaning: 'A defect of this service. The event may not be stored.',
    remedy: 'Send the event again; look up the request_id in the log.',
  },
  too_busy: {
    status: 503,
    retryAfterSeconds: 2,
    title: 'The service is busy',
    meaning:
      'Other webhooks take all the memory or all the connections that are set aside for them. The body is not kept.',
    remedy: 'Send the event again after Retry-After.',
  },
  stopping: {
    status: 503,
    retryAfterSeconds: 5,
    title: 'The service is stopping',
    meaning: 'The service shuts down or restarts and takes no new events.',
    remedy: 'Send the event again after Retry-After.',
  },
  outbox_full: {
    status: 503,
    retryAfterSeconds: 60,
    title: 'The outbox is full',
    meaning: 'OUTBOX_MAX_BYTES or the disk is reached. The event is not stored.',
    remedy: 'Let the outbox drain (see /healthz for a hold) or give it room; then send the event again.',
  },
  outbox_unavailable: {
    status: 503,
    retryAfterSeconds: 10,
    title: 'The outbox cannot store events now',
    meaning: 'The outbox could not commit, or its answer was lost: then the event may be stored.',
    remedy: 'Look at /readyz and the log; then send the event again, which makes no second row.',
  },
  outbox_timeout: {
    status: 503,
    retryAfterSeconds: 30,
    title: 'The outbox did not answer in time',
    meaning: 'The outbox did not commit within 30 seconds. The event may be stored.',
    remedy: 'Look at the disk and the log; then send the event again, which makes no second row.',
  },
  not_ready: {
    status: 503,
    retryAfterSeconds: 5,
    title: 'The service is not ready',
    meaning: 'The service takes no events now; `reasons` says why.',
    remedy: 'Do what `reasons` and the log say.',
  },
} as const satisfies Readonly<Record<string, EdgeCodeInfo>>;

/** What only the admin port answers. */
export const adminCodes = {
  request_invalid: {
    status: 400,
    title: 'The request is not valid',
    meaning: 'A parameter or a member of the body is missing or not valid; `errors` says which.',
    remedy: 'Correct the request.',
  },
  token_missing: {
    status: 401,
    title: 'The admin token is missing',
    meaning: 'A token is needed here, and the request has no Authorization header.',
    remedy: 'Send "Authorization: Bearer <ADMIN_TOKEN>"; for /metrics METRICS_TOKEN will do.',
  },
  token_not_bearer: {
    status: 401,
    title: 'The Authorization header is not a Bearer value',
    meaning: 'The Authorization header is not of the form "Bearer <token>".',
    remedy: 'Put the word Bearer and a space before the token.',
  },
  token_wrong: {
    status: 401,
    title: 'The admin token is wrong',
    meaning:
      'The token is not ADMIN_TOKEN. METRICS_TOKEN reads /metrics and nothing else, and the secret of the webhook is not taken.',
    remedy: 'Compare it with the tokens of this service: whole, without quotes or spaces around it.',
  },
  host_not_allowed: {
    status: 403,
    title: 'The Host header does not name this machine',
    meaning: 'Without ADMIN_TOKEN only requests to localhost or a loopback address are answered.',
    remedy: 'Ask 127.0.0.1 or localhost, or set ADMIN_TOKEN.',
  },
  origin_not_allowed: {
    status: 403,
    title: 'The Origin header names another page',
    meaning: 'The request comes from a page that is not of this port.',
    remedy: 'Open the page of the service itself. A proxy in front of this port must pass the Host header on.',
  },
  id_too_short: {
    status: 404,
    title: 'The id is too short',
    meaning: 'No record has this id, and a shortened id needs at least eight characters.',
    remedy: 'Give more characters of the id.',
  },
  id_ambiguous: {
    status: 404,
    title: 'The id could be that of several records',
    meaning: 'Several records have an id that begins like that; `detail` says how many.',
    remedy: 'Give more characters of the id.',
  },
  record_not_found: {
    status: 404,
    title: 'There is no such record',
    meaning: 'No event that waits or is dead, and no quarantined body, has this id.',
    remedy: 'List the records; an event that was delivered or purged is none any more.',
  },
  content_type_not_json: {
    status: 415,
    title: 'The Content-Type is not application/json',
    meaning: 'What changes something must come as JSON and say so.',
    remedy: 'Send "Content-Type: application/json".',
  },
} as const satisfies Readonly<Record<string, EdgeCodeInfo>>;

const ofWebhooks = new Map<string, ProblemCodeInfo>(Object.entries({ ...problemCodes, ...quarantineCodes }));

/** Of a code with which a webhook was refused or quarantined; undefined for any other text. */
export const infoOf = (code: string): ProblemCodeInfo | undefined => ofWebhooks.get(code);

export type ProblemCode = keyof typeof problemCodes | keyof typeof adminCodes;
