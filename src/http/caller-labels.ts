import { randomUUID } from 'node:crypto';

/** A caller may label its requests with these headers. One that cannot be used is left out: it is not worth an event. */

/** Safe in a header, in a log line and on a terminal. */
const requestId = /^[A-Za-z0-9._-]{1,128}$/;

/** The caller's X-Request-Id if it is well-formed, so that its log and ours can be joined; otherwise a new one. */
export function requestIdOf(header: string | string[] | undefined): string {
  return typeof header === 'string' && requestId.test(header) ? header : randomUUID();
}

/** The place of a request in a distributed trace, as its caller names it. */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits: the caller's span, since this service makes none of its own. */
  readonly spanId: string;
}

/** version - trace-id - parent-id - flags, and after the flags what a later version may add. */
const traceparent =
  /^(?<version>[0-9a-f]{2})-(?<traceId>[0-9a-f]{32})-(?<spanId>[0-9a-f]{16})-[0-9a-f]{2}(?<rest>-.*)?$/;

/**
 * The `traceparent` header (W3C Trace Context, 3.2). Null if it is not well-formed: version ff, ids of zeros only,
 * capitals, anything after the flags in version 00, or more than one header, which Node joins with a comma.
 */
export function traceContextOf(header: string | string[] | undefined): TraceContext | null {
  if (typeof header !== 'string' || header.length > 512) return null;
  const { version, traceId = '', spanId = '', rest } = traceparent.exec(header)?.groups ?? {};
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId };
}

const maxFeedCharacters = 128;
/** Control, format, surrogate, private and unassigned characters, and the two separators that break lines. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/u;

/**
 * The X-Apono-Feed header: a label that the Apono admin chose, for the column `feed`. It is trimmed, and read as UTF-8
 * (Node hands headers on as latin1). Null if it is empty, longer than 128 characters, not printable, or sent twice with
 * different values.
 */
export function feedOf([first, ...others]: readonly string[]): string | null {
  if (first === undefined || others.some((other) => other !== first)) return null;
  const label = decodeUtf8(first)?.trim() ?? '';
  return label === '' || [...label].length > maxFeedCharacters || unprintable.test(label) ? null : label;
}

function decodeUtf8(header: string): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(header, 'latin1'));
  } catch {
    return null;
  }
}
