import { formatInstant } from '../apono/time.ts';
import { joinRow } from '../ground/event.ts';
import type { JsonValue } from '../ground/json.ts';
import { columnFitter, type Row } from '../sentinel/row.ts';
import { EventField, InvalidFields, withoutBlanks } from './field.ts';
import type { DecodedEvent, WebhookKind } from './kind.ts';

/** An event makes at most so many rows: those of its first units. */
export const MAX_ROWS_PER_EVENT = 10_000;

/** The rows of one event have at most so many bytes: a small body must not become gigabytes on the way out. */
export const MAX_MAPPED_BYTES = 268_435_456;

/** What is stored of them has at most so many: more than any body of 16 MiB needs. */
const MAX_STORED_BYTES = 67_108_864;

/**
 * The rows of a valid event, and their bytes as they will be sent; null if these are more than one event may have. The
 * columns that its rows share are cut and written once, each row's own beside them.
 */
export function mapRows({ table, columns }: WebhookKind, event: DecodedEvent) {
  const { eventId, value, meta } = event;
  const isTemplate = meta.bodyForm !== 'json';
  const invalid = new InvalidFields();
  const top = new EventField(value, { isTemplate, invalid });
  const eventType = top.at('event_type').text() ?? '';
  const eventTime = top.at(meta.bodyForm === 'recipe' ? 'TimeGenerated' : 'event_time').time();
  const data = isTemplate ? withoutBlanks(value['data']) : value['data'];
  const receivedAt = formatInstant(BigInt(meta.receivedAt) * 1000n);
  const mapped = columns({ ...event, data, isTemplate, invalid, eventType, eventTime });
  const rows = (mapped.rows ?? [() => ({})]).slice(0, MAX_ROWS_PER_EVENT).map((ownColumns, index) => {
    const ofRow = new InvalidFields();
    const ownRow: Record<string, JsonValue> = { ...ownColumns(ofRow), row_id: `${eventId}-${index}` };
    return { columns: ownRow, ofRow };
  });
  // Nearly always no row has invalid fields of its own. Then all of them share this column as well.
  const isInvalidShared = rows.every(({ ofRow }) => ofRow.isEmpty);
  for (const row of rows) {
    row.ofRow.addAll(invalid);
    if (!isInvalidShared) row.columns['invalid_fields'] = row.ofRow.toColumn();
  }
  const fit = columnFitter(table);
  // Every row carries every column of its table.
  const ofEachRow = { ...rows[0]?.columns, truncated_fields: null };
  const nulls: Record<string, null> = {};
  for (const { name } of table.columns) if (!Object.hasOwn(ofEachRow, name)) nulls[name] = null;
  const shared = fit({
    ...nulls,
    TimeGenerated: eventTime ?? receivedAt,
    event_type: eventType,
    event_time: eventTime,
    event_id: eventId,
    body_form: meta.bodyForm,
    feed: meta.feed,
    received_at: receivedAt,
    ...mapped.shared,
    ...(isInvalidShared && { invalid_fields: invalid.toColumn() }),
  });
  return writeRows(fit, { ...shared, truncated: [...(mapped.incomplete ?? []), ...shared.truncated] }, rows);
}

/** Adds truncated_fields to each row. `ofRow`: all that its invalid_fields have, shared or not. */
function writeRows(
  fit: ReturnType<typeof columnFitter>,
  shared: ReturnType<typeof fit>,
  rows: readonly { readonly columns: Row; readonly ofRow: InvalidFields }[],
) {
  const sharedBytes = Buffer.byteLength(shared.json);
  const own: string[] = [];
  let [storedBytes, mappedBytes] = [sharedBytes, 0];
  for (const { columns, ofRow } of rows) {
    const part = fit(columns);
    const truncated = new Set([...shared.truncated, ...part.truncated, ...(ofRow.isCut ? ['invalid_fields'] : [])]);
    const names = truncated.size === 0 ? null : [...truncated];
    const json = joinRow(part.json, JSON.stringify({ truncated_fields: names }));
    own.push(json);
    const ownBytes = Buffer.byteLength(json);
    storedBytes += ownBytes;
    // The brace that ends the shared part and the one that begins the row's own become one comma.
    mappedBytes += sharedBytes - 1 + ownBytes;
    if (storedBytes > MAX_STORED_BYTES || mappedBytes > MAX_MAPPED_BYTES) return null;
  }
  const hasInvalidFields = rows.some(({ ofRow }) => !ofRow.isEmpty);
  return { shared: shared.json, own: own.join('\n'), rowCount: own.length, mappedBytes, hasInvalidFields };
}
