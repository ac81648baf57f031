import { problem } from './answer.ts';

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

/** A request's share of the memory for bodies. */
export type Reservation = ReturnType<ReturnType<typeof createInFlightBytes>>;

/** What a request takes however small its body is, so that tiny pipelined ones are bounded too. */
const minimumBytes = 4_096;

/**
 * Bounds the bodies that are held at one time, from the first read to the answer. The function that it returns reserves
 * the share of one; it throws the 503 `too_busy` if there is no room.
 */
export function createInFlightBytes(maxBytes: number) {
  let heldBytes = 0;
  return (bytes: number) => {
    let share = 0;
    /** Makes the share `wanted`; throws the same if there is no room, and the share stays as it was. */
    function resize(wanted: number): void {
      const next = Math.max(minimumBytes, wanted);
      if (next > share && heldBytes - share + next > maxBytes) throw problem('too_busy');
      heldBytes += next - share;
      share = next;
    }
    /** Gives the share back. Doing so twice does nothing. */
    function release(): void {
      heldBytes -= share;
      share = 0;
    }
    resize(bytes);
    return { resize, release };
  };
}
