import { formatMs } from '../apono/time.ts';
import { type EventRows, joinRow } from '../ground/event.ts';
import { columnFitter, type Row, type RowPart } from '../sentinel/row.ts';
import type { TableSchema } from '../sentinel/table.ts';
import { EventField, InvalidFields, withoutBlanks } from './field.ts';
import type { DecodedEvent, WebhookKind } from './kind.ts';

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

/**
 * The rows of a valid event; null if they have more bytes than one event may have. The columns that its rows share are
 * cut and written once, each row's own beside them.
 */
export function mapRows({ table, columns }: WebhookKind, event: DecodedEvent): MappedRows | null {
  const { eventId, value, meta } = event;
  const isTemplate = meta.bodyForm !== 'json';
  const invalid = new InvalidFields();
  const top = new EventField(value, { isTemplate, invalid });
  const eventType = top.at('event_type').text() ?? '';
  const eventTime = top.at(meta.bodyForm === 'recipe' ? 'TimeGenerated' : 'event_time').time();
  const data = isTemplate ? withoutBlanks(value['data']) : value['data'];
  const receivedAt = formatMs(meta.receivedAt);
  const mapped = columns({ ...event, data, isTemplate, invalid, eventType, eventTime });
  const rows = (mapped.rows ?? [() => ({})]).slice(0, MAX_ROWS_PER_EVENT).map((ownColumns, index) => {
    const ofRow = new InvalidFields();
    return { columns: { ...ownColumns(ofRow), row_id: `${eventId}-${index}` }, ofRow };
  });
  const fit = fitterOf(table);
  const shared = fit({
    ...nullColumns(table, { ...rows[0]?.columns, invalid_fields: null, truncated_fields: null }),
    TimeGenerated: eventTime ?? receivedAt,
    event_type: eventType,
    event_time: eventTime,
    event_id: eventId,
    body_form: meta.bodyForm,
    feed: meta.feed,
    received_at: receivedAt,
    ...mapped.shared,
  });
  const truncated = [...(mapped.incomplete ?? []), ...shared.truncated];
  return writeRows(fit, shared.json, rows, { invalid, truncated });
}

type OwnRow = { readonly columns: Row; readonly ofRow: InvalidFields };

/** Adds the last two columns. Nearly always these are the same in every row, and so they are shared as well. */
function writeRows(fit: Fit, shared: string, rows: readonly OwnRow[], { invalid, truncated }: Lost): MappedRows | null {
  let storedBytes = Buffer.byteLength(shared);
  const parts: (RowPart & Pick<OwnRow, 'ofRow'>)[] = [];
  for (const { columns, ofRow } of rows) {
    const part = fit(columns);
    storedBytes += Buffer.byteLength(part.json);
    if (storedBytes > MAX_STORED_BYTES) return null;
    parts.push({ ...part, ofRow });
  }
  if (parts.every((part) => part.ofRow.isEmpty && part.truncated.length === 0)) {
    const own = parts.map(({ json }) => json);
    return measured(joinRow(shared, lastColumns(fit, { invalid, truncated })), own, !invalid.isEmpty);
  }
  const own: string[] = [];
  for (const { json, truncated: ofPart, ofRow } of parts) {
    ofRow.addAll(invalid);
    const last = lastColumns(fit, { invalid: ofRow, truncated: [...truncated, ...ofPart] });
    storedBytes += Buffer.byteLength(last);
    if (storedBytes > MAX_STORED_BYTES) return null;
    own.push(joinRow(json, last));
  }
  const hasInvalidFields = parts.some(({ ofRow }) => !ofRow.isEmpty);
  return measured(shared, own, hasInvalidFields);
}

/** Every row carries every column of its table: those that are not among the others, each null. */
function nullColumns({ columns }: TableSchema, others: Row): Row {
  const nulls: Record<string, null> = {};
  for (const { name } of columns) if (!Object.hasOwn(others, name)) nulls[name] = null;
  return nulls;
}

type Fit = ReturnType<typeof columnFitter>;

const fitters = new Map<TableSchema, Fit>();

function fitterOf(table: TableSchema): Fit {
  const fit = fitters.get(table) ?? columnFitter(table);
  fitters.set(table, fit);
  return fit;
}

/** What the columns invalid_fields and truncated_fields say. */
interface Lost {
  readonly invalid: InvalidFields;
  readonly truncated: readonly string[];
}

/** These two columns as JSON. */
function lastColumns(fit: Fit, { invalid, truncated }: Lost): string {
  const fields = fit({ invalid_fields: invalid.toColumn() });
  const isCut = invalid.isCut || fields.truncated.length > 0;
  const names = isCut ? [...truncated, 'invalid_fields'] : truncated;
  return joinRow(fields.json, JSON.stringify({ truncated_fields: names.length === 0 ? null : names }));
}

function measured(shared: string, own: readonly string[], hasInvalidFields: boolean): MappedRows | null {
  // The brace that ends the one and the brace that begins the other become one comma.
  const sharedBytes = Buffer.byteLength(shared) - 1;
  const bytes = own.reduce((sum, part) => sum + sharedBytes + Buffer.byteLength(part), 0);
  return bytes > MAX_MAPPED_BYTES ? null : { shared, own, bytes, hasInvalidFields };
}
