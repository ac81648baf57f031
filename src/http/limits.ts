/** What bounds a caller of a port. Sizes are in bytes, times in milliseconds. */
export type EdgeLimits = Readonly<ReturnType<typeof defaultLimits>>;

const MiB = 1024 * 1024;

export function defaultLimits(maxBodyBytes: number) {
  return {
    /** Of a body, as it comes and inflated: MAX_BODY_BYTES. */
    maxBodyBytes,
    /** From the first read of a body to its end. */
    bodyTimeoutMs: 60_000,
    /** What is read and thrown away after a refusal, so that a sender who is still sending sees the answer. */
    drainMaxBytes: maxBodyBytes + 2 * MiB,
    drainMaxMs: 5_000,
    /** All bodies that are held at one time, from reading to answer. Above it: 503. */
    maxInFlightBytes: 64 * MiB,
    /** Failed authentications of one address in `failureWindowMs` that are answered 401; the next ones get 429. */
    maxFailures: 100,
    failureWindowMs: 60_000,
    /** Addresses whose failures are counted at one time; beyond it the oldest is forgotten. */
    maxFailureAddresses: 10_000,
    /** From connection (or the first byte of a later request) to the end of the headers. */
    headersTimeoutMs: 15_000,
    /** To the end of the body; above `bodyTimeoutMs`, whose answer says more. */
    requestTimeoutMs: 90_000,
    /**
     * How long an idle connection stays: KEEP_ALIVE_SECONDS. It must be longer than the load balancer keeps it, which
     * would otherwise send into one that just closed: nginx 60 s, Caddy 120 s, Google Cloud 600 s.
     */
    keepAliveTimeoutMs: 650_000,
    /** All headers together. */
    maxHeaderBytes: 16 * 1024,
    /** Above it, connections without a request make room for new ones. */
    maxConnections: 2_000,
    /** Connections beyond `maxConnections` on which probes are answered while all others have a request under way. */
    spareConnections: 50,
    /** Connections of one address that is not a trusted proxy's. */
    maxConnectionsPerAddress: 500,
    /** How long a connection with a malformed request stays open after its answer. */
    lingerMs: 1_000,
    /** How long a webhook waits for the outbox to commit; below the 60 s that proxies wait for an answer. */
    receiveTimeoutMs: 30_000,
  };
}
