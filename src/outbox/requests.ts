import { decodeCursor, FIRST_POSITION, type Position } from './cursor.ts';
import type { ClaimRequest } from './port.ts';
import type { ListRequest, RecordState } from './records.ts';

/** What a caller asks for, checked before an engine sees it. All throw a RangeError. */

export interface ListArgs {
  readonly state: RecordState;
  /** Null: of every kind. */
  readonly kind: string | null;
  readonly after: Position;
  readonly limit: number;
}

const MAX_PAGE = 1_000;
const STATES: Readonly<Record<RecordState, true>> = { waiting: true, dead: true, quarantined: true };

/** Only what the worker needs is copied: a caller's object may hold what cannot be posted. */
export function copyClaim({ kind, maxEvents, maxMappedBytes }: ClaimRequest): ClaimRequest {
  if (!Number.isSafeInteger(maxEvents) || maxEvents < 1) {
    throw new RangeError(`maxEvents must be a whole number of at least 1, got ${maxEvents}`);
  }
  if (!(maxMappedBytes >= 0)) throw new RangeError(`maxMappedBytes must be at least 0, got ${maxMappedBytes}`);
  return { kind, maxEvents, maxMappedBytes };
}

export function readList({ state, kind, after, limit }: ListRequest): ListArgs {
  if (!Object.hasOwn(STATES, state)) throw new RangeError(`There is no list of the state ${state}`);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new RangeError(`limit must be a whole number from 1 to ${MAX_PAGE}, got ${limit}`);
  }
  return { state, kind: kind ?? null, after: after === undefined ? FIRST_POSITION : decodeCursor(after), limit };
}
