/** What an ordinary webhook needs: with less than this left the outbox is as good as full. */
export const HEADROOM_BYTES = 64 * 1024;

/**
 * A write-ahead log is emptied while nobody reads the database, and stays below this. A longer one cannot be emptied:
 * then the outbox counts as full before the log takes the whole disk.
 */
const MAX_LOG_OVERSHOOT_BYTES = 64 * 1024 * 1024;

export interface Usage {
  /** Of the database's pages in use, without the log. */
  readonly dataBytes: number;
  readonly logBytes: number;
}

/** Why nothing more may be stored with `headroom` bytes to spare; null if there is room. */
export function fullness({ dataBytes, logBytes }: Usage, maxBytes: number, headroom = 0): string | null {
  if (dataBytes + headroom > maxBytes) {
    return `the outbox is full: ${dataBytes} of ${maxBytes} bytes are used (OUTBOX_MAX_BYTES)`;
  }
  if (dataBytes + logBytes <= maxBytes + MAX_LOG_OVERSHOOT_BYTES) return null;
  return (
    `the outbox is full: its write-ahead log has ${logBytes} bytes and cannot be emptied, ` +
    'because another program has the database open in a read transaction'
  );
}
