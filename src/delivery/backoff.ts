/** Longest pause of our own choosing. */
const MAX_BACKOFF_MS = 300_000;
/** Longest pause that Azure may ask for: past it a wrong header would look like an outage. */
const MAX_RETRY_AFTER_MS = 900_000;
const BASE_MS = 1_000;

/**
 * How long to wait after the nth failure in a row, counted from 0: what Azure asked for, within bounds, or half to all
 * of min(5 min, 1 s × 2ⁿ), whichever is longer. The jitter keeps replicas from coming back together.
 * `random` gives [0, 1).
 */
export function retryDelayMs(failures: number, retryAfterMs: number | null, random: () => number): number {
  const ceilingMs = Math.min(MAX_BACKOFF_MS, BASE_MS * 2 ** Math.min(failures, 30));
  const ownMs = ceilingMs * (0.5 + random() / 2);
  return Math.max(ownMs, Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS));
}

/** Statuses of a request that can be answered otherwise later, without anybody changing anything. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** A Retry-After header (RFC 9110 10.2.3: seconds or a date) in milliseconds from now; null when it says nothing usable. */
export function parseRetryAfter(header: string | null, nowMs: number): number | null {
  const text = header?.trim() ?? '';
  if (/^\d{1,12}(\.\d{1,9})?$/.test(text)) return Number(text) * 1000;
  // Only the date forms of HTTP have letters and a clock time: Date.parse takes "-5" and "2" for dates as well.
  if (!/^[A-Za-z]{3,9},? .*\d{2}:\d{2}:\d{2}/.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs);
}
