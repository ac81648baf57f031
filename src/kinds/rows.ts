import type { EventRows } from '../ground/event.ts';
import { asText, columnFitter, joinParts, type Row, type RowPart, type RowText } from '../sentinel/row.ts';
import type { TableSchema } from '../sentinel/table.ts';
import { InvalidFields } from './event-field.ts';

/** An event makes at most so many rows: those of its first units. */
export const MAX_ROWS_PER_EVENT = 10_000;

/** The rows of one event have at most so many bytes: a small body must not become gigabytes on the way out. */
export const MAX_MAPPED_BYTES = 268_435_456;

/** What is stored of them has at most so many: more than any body of 16 MiB needs. */
const MAX_STORED_BYTES = 67_108_864;

/** The rows that an event becomes, as they will be sent. */
export interface MappedRows extends EventRows {
  /** Of all rows as JSON, in UTF-8. */
  readonly bytes: number;
  /** Whether any row has something in invalid_fields. */
  readonly hasInvalidFields: boolean;
}

export interface MapOptions<Unit> {
  readonly eventId: string;
  /** Columns that are the same in every row of the event. */
  readonly shared: Row;
  /** What one row each is made from; at least one. */
  readonly units: readonly Unit[];
  /** `invalid` takes what could not be read of this unit. */
  readonly unitColumns: (unit: Unit, index: number, invalid: InvalidFields) => Row;
  /** What could not be read of the event, its units left out. */
  readonly invalid: InvalidFields;
  /** Names of columns that the body itself shows to be cut short. */
  readonly incomplete: readonly string[];
}

/** Null: the rows have more bytes than one event may have. */
export type MapRows = <Unit>(options: MapOptions<Unit>) => MappedRows | null;

interface OwnPart {
  readonly part: RowPart;
  readonly invalid: InvalidFields;
}

/**
 * Makes the function that writes the rows of one event in this table: the shared columns are cut and written once, each
 * row's own beside them. It adds `row_id`, `invalid_fields` and `truncated_fields`.
 */
export function rowMapper(table: TableSchema): MapRows {
  const fit = columnFitter(table);
  const emptyTail = tail(fit, new InvalidFields(), []);

  return ({ eventId, shared: sharedColumns, units, unitColumns, invalid: ofEvent, incomplete }) => {
    const shared = fit(sharedColumns);
    const parts: OwnPart[] = [];
    let storedBytes = shared.bytes;
    for (const [index, unit] of units.slice(0, MAX_ROWS_PER_EVENT).entries()) {
      const invalid = new InvalidFields();
      const part = fit({ ...unitColumns(unit, index, invalid), row_id: `${eventId}-${index}` });
      storedBytes += part.bytes;
      if (storedBytes > MAX_STORED_BYTES) return null;
      parts.push({ part, invalid });
    }
    const truncated = [...incomplete, ...shared.truncated];
    // Nearly always the last two columns are the same in every row as well.
    if (parts.every(({ part, invalid }) => invalid.isEmpty && part.truncated.length === 0)) {
      const own = parts.map(({ part }) => part);
      return measured(joinParts(shared, tail(fit, ofEvent, truncated)), own, !ofEvent.isEmpty);
    }
    const own: RowText[] = [];
    for (const { part, invalid } of parts) {
      invalid.addAll(ofEvent);
      const isPlain = invalid.isEmpty && truncated.length === 0 && part.truncated.length === 0;
      const last = isPlain ? emptyTail : tail(fit, invalid, [...truncated, ...part.truncated]);
      storedBytes += last.bytes;
      if (storedBytes > MAX_STORED_BYTES) return null;
      own.push(joinParts(part, last));
    }
    return measured(
      shared,
      own,
      parts.some(({ invalid }) => !invalid.isEmpty),
    );
  };
}

/** The last two columns of a row. */
function tail(fit: (values: Row) => RowPart, invalid: InvalidFields, truncated: readonly string[]): RowText {
  const fields = fit({ invalid_fields: invalid.toColumn() });
  const isCut = invalid.isCut || fields.truncated.length > 0;
  const names = isCut ? [...truncated, 'invalid_fields'] : truncated;
  return joinParts(fields, asText({ truncated_fields: names.length === 0 ? null : names }));
}

function measured(shared: RowText, own: readonly RowText[], hasInvalidFields: boolean): MappedRows | null {
  // The brace that ends the one and the brace that begins the other become one comma.
  const bytes = own.reduce((sum, part) => sum + shared.bytes + part.bytes - 1, 0);
  if (bytes > MAX_MAPPED_BYTES) return null;
  return { shared: shared.json, own: own.map(({ json }) => json), bytes, hasInvalidFields };
}
