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
  /**
   * How long an idle connection stays: KEEP_ALIVE_SECONDS. It must be longer than the load balancer keeps it, which would
   * send into one that just closed otherwise: nginx 60 s, Caddy 120 s, Google Cloud 600 s.
   */
  readonly keepAliveTimeoutMs: number;
  /** All headers together. */
  readonly maxHeaderBytes: number;
  /** Connections in all. Above it those without a request make room for new ones. */
  readonly maxConnections: number;
  /** Connections beyond `maxConnections` on which probes are answered while all others have a request under way. */
  readonly spareConnections: number;
  /** Connections of one address that is not a trusted proxy's. */
  readonly maxConnectionsPerAddress: number;
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
    keepAliveTimeoutMs: 650_000,
    maxHeaderBytes: 16 * 1024,
    maxConnections: 2_000,
    spareConnections: 50,
    maxConnectionsPerAddress: 500,
    lingerMs: 1_000,
    receiveTimeoutMs: 30_000,
    statsTimeoutMs: 2_000,
    ...overrides,
  };
}
