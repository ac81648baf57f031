/** What bounds a caller of the webhook port. Sizes in bytes, times in milliseconds. */
export interface EdgeLimits {
  /** Of a body, as it comes and inflated. MAX_BODY_BYTES. */
  readonly maxBodyBytes: number;
  /** From the first read of a body to its end. */
  readonly bodyTimeoutMs: number;
  /** What is read and thrown away behind a refusal, so that a sender who is still sending sees the answer. */
  readonly drainMaxBytes: number;
  readonly drainMaxMs: number;
  /** All bodies that are held at one time, from reading to answer. Above it: 503. */
  readonly maxInFlightBytes: number;
  /** Failed authentications of one address in `failureWindowMs` that are answered 401; the next are 429. */
  readonly maxFailures: number;
  readonly failureWindowMs: number;
  /** Addresses whose failures are counted at one time; beyond it the oldest is forgotten. */
  readonly maxFailureAddresses: number;
  /** From connection (or the first byte of a later request) to the end of the headers. */
  readonly headersTimeoutMs: number;
  /** To the end of the body; above `bodyTimeoutMs`, whose answer says more. */
  readonly requestTimeoutMs: number;
  /** How long an idle connection stays. Above what proxies keep theirs, or they would send into one that just closed. */
  readonly keepAliveTimeoutMs: number;
  /** All headers together. */
  readonly maxHeaderBytes: number;
  readonly maxConnections: number;
  /** How long a connection with a malformed request stays open behind its answer. */
  readonly lingerMs: number;
  /** How long a webhook waits for the outbox to commit; below the 60 s that proxies wait for an answer. */
  readonly receiveTimeoutMs: number;
  /** How long /readyz and /healthz wait for the outbox. */
  readonly statsTimeoutMs: number;
}

const MiB = 1024 * 1024;

export function edgeLimits(maxBodyBytes: number, overrides: Partial<EdgeLimits> = {}): EdgeLimits {
  return {
    maxBodyBytes,
    bodyTimeoutMs: 60_000,
    drainMaxBytes: maxBodyBytes + 2 * MiB,
    drainMaxMs: 5_000,
    maxInFlightBytes: 64 * MiB,
    maxFailures: 100,
    failureWindowMs: 60_000,
    maxFailureAddresses: 10_000,
    headersTimeoutMs: 15_000,
    requestTimeoutMs: 90_000,
    // nginx keeps connections to an upstream for 60 s (75 s on its own side), Caddy for 120 s.
    keepAliveTimeoutMs: 125_000,
    maxHeaderBytes: 16 * 1024,
    maxConnections: 2_000,
    lingerMs: 1_000,
    receiveTimeoutMs: 30_000,
    statsTimeoutMs: 2_000,
    ...overrides,
  };
}
