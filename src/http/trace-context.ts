/** Where in a distributed trace a request belongs, by its caller. */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits: the caller's span, since this service makes none of its own. */
  readonly spanId: string;
}

/** version - trace-id - parent-id - flags, and behind the flags what a later version may add. */
const wellFormed =
  /^(?<version>[0-9a-f]{2})-(?<traceId>[0-9a-f]{32})-(?<spanId>[0-9a-f]{16})-[0-9a-f]{2}(?<rest>-.*)?$/;

/**
 * The `traceparent` header (W3C Trace Context, 3.2). Null where it is not well-formed: version ff, ids of zeros only,
 * capitals, anything behind the flags in version 00, or more than one header, which Node joins with a comma.
 */
export function traceContextOf(header: string | string[] | undefined): TraceContext | null {
  if (typeof header !== 'string' || header.length > 512) return null;
  const { version, traceId = '', spanId = '', rest } = wellFormed.exec(header)?.groups ?? {};
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId };
}
