import type { OutboxRecords } from './records.ts';

/** An operator may shorten an id to so many characters or more. */
const MIN_ID_CHARACTERS = 8;

/** The text is too short to stand for an id, or is the beginning of several. */
export class RecordIdError extends Error {
  override readonly name = 'RecordIdError';
  readonly code: 'id_too_short' | 'id_ambiguous';

  constructor(code: RecordIdError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** As apono/event.ts makes them. */
const wholeIdPattern = /^[vq]1[0-9a-f]{64}$/;

/**
 * The id of the only record whose id begins with `start`; `start` itself if there is no such record. Rejects with a
 * RecordIdError.
 */
export async function wholeId(start: string, outbox: OutboxRecords): Promise<string> {
  if (wholeIdPattern.test(start)) return start;
  if (start.length < MIN_ID_CHARACTERS) {
    if ((await outbox.show(start)) !== null) return start;
    const message = `"${start}" is too short: give the first ${MIN_ID_CHARACTERS} characters of an id or more.`;
    throw new RecordIdError('id_too_short', message);
  }
  const { first, count } = await outbox.find(start);
  if (count > 1 && first !== start) {
    const message = `${count} records have an id that begins with "${start}": give more characters of it.`;
    throw new RecordIdError('id_ambiguous', message);
  }
  return first ?? start;
}
