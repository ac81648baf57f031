import type { Clock } from '../ground/clock.ts';
import type { Logger } from '../ground/log.ts';

/** Warnings that anybody on the network can cause. docs/errors.md explains each code. */
export const complaints = {
  host_invalid: 'a request has no Host header, or two: look at the reverse proxy or the load balancer',
  connections_full: 'too many connections are open; those without a request are closed, the oldest first, to make room',
  connections_per_address: 'one address has too many connections open; its oldest ones are closed',
  connections_refused: 'connections are refused: each one that is open has a request under way',
  proxy_protocol:
    'a load balancer sends the PROXY protocol, which this service does not speak: turn it off there, and let it set X-Forwarded-For',
  tls_on_http_port:
    'a caller speaks TLS to this port, which is plain HTTP: terminate TLS in the reverse proxy, and use http:// behind it',
  http2_on_http_port:
    'a caller speaks HTTP/2, which this service does not: set the reverse proxy to HTTP/1.1 for its upstream',
  headers_too_large:
    'the headers of a request were larger than 16 KB, and it was answered 431: look for what the reverse proxy adds to them',
  malformed_request:
    'a request was no valid HTTP/1.1 and was refused; `parser` says what is wrong, `client_address` who sent it',
} as const;

export type Complaint = keyof typeof complaints;

export type Complain = (code: Complaint, fields: Readonly<Record<string, unknown>>) => void;

const intervalMs = 60_000;

/** Logs each code at most once a minute, with how often it was left out since. `port`: its name, for the log. */
export function createComplaints({ port, log, clock }: { port: string; log: Logger; clock: Clock }): Complain {
  const seen = new Map<Complaint, { loggedAt: number; since: number }>();
  return (code, fields) => {
    const now = clock.now();
    const last = seen.get(code);
    // The clock may jump back.
    if (last !== undefined && Math.abs(now - last.loggedAt) < intervalMs) {
      last.since += 1;
      return;
    }
    seen.set(code, { loggedAt: now, since: 0 });
    log.warn({ code, listener: port, ...fields, suppressed: last?.since || undefined }, complaints[code]);
  };
}
