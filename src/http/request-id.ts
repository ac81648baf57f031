import { randomUUID } from 'node:crypto';

/** What is safe in a header, in a log line and on a terminal. */
const wellFormed = /^[A-Za-z0-9._-]{1,128}$/;

/** The caller's X-Request-Id where it is well-formed, so that its log and ours can be joined; else a new one. */
export function requestIdOf(header: string | string[] | undefined): string {
  return typeof header === 'string' && wellFormed.test(header) ? header : randomUUID();
}
