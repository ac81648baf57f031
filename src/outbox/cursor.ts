/** A place in a list: the record behind which the next page begins. */
export interface Position {
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  /** Of the row: tells records of the same millisecond apart. */
  readonly seq: number;
}

/** Before everything that can be stored. */
export const FIRST_POSITION: Position = { receivedAt: Number.MIN_SAFE_INTEGER, seq: 0 };

/** Opaque to the caller, so that another engine may put into it what it needs. */
export function encodeCursor({ receivedAt, seq }: Position): string {
  return Buffer.from(`${receivedAt}.${seq}`).toString('base64url');
}

/** Throws a RangeError for text that is no cursor of ours. */
export function decodeCursor(cursor: string): Position {
  const [, receivedAt, seq] = /^(-?\d{1,16})\.(\d{1,16})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  const position = { receivedAt: Number(receivedAt), seq: Number(seq) };
  // Base64 has several spellings of one text; only the one that was given out is taken.
  if (encodeCursor(position) !== cursor) throw new RangeError('This is no cursor that a page of this list gave');
  return position;
}
