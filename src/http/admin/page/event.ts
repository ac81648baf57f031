import { parseExact } from '../../../apono/exact-json.ts';
import type { RowRange } from '../../../ground/event.ts';
import { type JsonObject, objectsOf } from '../../../ground/json.ts';
import { kindNamed } from '../../../kinds/registry.ts';
import type { DetailJson, GoneJson, HoldJson } from '../../../outbox/operator.ts';
import { rangesText } from '../../../outbox/rows.ts';
import { bytes } from '../../status.ts';
import { facts, type Html, html, table, time } from './layout.ts';
import { recordActions, recordHelp } from './overview.ts';

/** More would make a page that no browser likes to show; the command prints all of them. */
const MAX_ROWS_SHOWN = 200;
const MAX_TEXT_SHOWN = 100_000;
/** So few are shown side by side, a column a line; a table of fifty columns does not fit any screen. */
const MAX_ROWS_SIDE_BY_SIDE = 4;

/** Columns that say what an event is about, most telling first; those of all tables. */
const telling = [
  ...['event_type', 'requester_email', 'actor_name', 'action', 'permission', 'resource_name', 'target_name'],
  ...['summary', 'integration_name', 'issue_message', 'justification'],
];

/** One line that says what somebody asked for; null where nothing of it can be read. */
export function headlineOf(record: DetailJson): string | null {
  if (record.type === 'quarantine') return textOf(record).slice(0, 200);
  const [row] = rowsOf(record);
  const parts = telling.map((name) => row?.[name]).filter((value) => typeof value === 'string' && value !== '');
  return parts.length === 0 ? null : parts.slice(0, 4).join(' · ');
}

/** One event: its way with times, and its rows; or a body in quarantine, as it came. `holds`: of all streams. */
export function recordPage(record: DetailJson, holds: readonly HoldJson[]): Html {
  return html`<section id="event"><h1>${record.type === 'event' ? 'Event' : 'Body in quarantine'}</h1>
<p><code data-copy>${record.id}</code></p>
${facts([
  ['Webhook', record.kind ?? 'not known'],
  ['Feed', record.feed ?? 'none'],
  ['Size', bytes(record.body_bytes)],
])}
${record.type === 'event' ? eventParts(record, holds) : quarantineParts(record)}</section>`;
}

export function gonePage({ id, kind, feed, rows, is_delivered: isDelivered, what, ...times }: GoneJson): Html {
  const table = kindNamed(kind)?.table.name;
  const query = `${table} | where event_id == "${id}"`;
  return html`<section id="event"><h1>Event</h1>
<p><code data-copy>${id}</code></p>
${facts([
  ['Webhook', kind || 'not known'],
  ['Feed', feed ?? 'none'],
])}
<h2>Its way</h2>
<ol class="way">
<li>${time(times.received_at)} accepted and stored${rows > 0 && `: ${rows} ${rows === 1 ? 'row' : 'rows'}`}</li>
<li>${time(times.gone_at)} ${what}</li>
</ol>
${isDelivered && table !== undefined && html`<p>In Microsoft Sentinel: <code data-copy>${query}</code></p>`}
<p>The same event sent again is a duplicate for as long as DEDUP_DAYS says.</p></section>`;
}

function eventParts(record: DetailJson, holds: readonly HoldJson[]): Html {
  const rows = rowsOf(record);
  const shown = rows.slice(0, MAX_ROWS_SHOWN);
  const names = [...new Set(shown.flatMap((row) => Object.keys(row)))];
  const isShared = (name: string): boolean => shown.every((row) => cellOf(row[name]) === cellOf(shown[0]?.[name]));
  const isBlank = (name: string): boolean => shown.every((row) => cellOf(row[name]) === '');
  const filled = names.filter((name) => !isBlank(name));
  const shared = filled.filter((name) => rows.length > 1 && isShared(name));
  const known = telling.filter((name) => filled.includes(name));
  const own = [...new Set([...known, ...filled])].filter((name) => !shared.includes(name));
  const more = html`<p>The first ${MAX_ROWS_SHOWN} of ${rows.length} rows. All of them:
<code data-copy>apono-sentinel outbox show ${record.id} --body</code></p>`;
  const isSideBySide = rows.length <= MAX_ROWS_SIDE_BY_SIDE;
  const lines = shown.map((row, index) => [index, ...own.map((name) => cellOf(row[name]))]);
  const columns = own.map((name) => [name, ...shown.map((row) => cellOf(row[name]))]);
  const heads = ['Column', ...shown.map((_, index) => (rows.length === 1 ? 'Value' : `Row ${index}`))];
  return html`<h2>Its way</h2>${way(record, holds)}
${record.dead_rows > 0 && html`${recordHelp(record.dead_letters)}${recordActions(record)}`}
<h2>Its rows</h2>
${rows.length > MAX_ROWS_SHOWN && more}
${isSideBySide ? table('Rows', heads, columns, 'None.') : table('Rows', ['Row', ...own], lines, '')}
${shared.length > 0 && html`<h3>The same in all rows</h3>${facts(shared.map((name) => [name, cellOf(shown[0]?.[name])]))}`}
<h3>Empty</h3><p class="none">${names.filter(isBlank).join(', ') || 'none'}</p>`;
}

function way(record: DetailJson, holds: readonly HoldJson[]): Html {
  const { received_at: received, rows, pending_rows: pending, dead_rows: dead, dead_letters: letters } = record;
  const delivered = rows - pending - dead;
  const hold = holds.find(({ kind }) => kind === record.kind);
  const which = (ranges: readonly RowRange[]) => (rows === 1 ? 'its only row' : `row ${rangesText(ranges)}`);
  const held = hold && html`<p><a href="/">Its stream is on hold</a> since ${time(hold.since)}: ${hold.reason}</p>`;
  return html`<ol class="way">
<li>${time(received)} accepted and stored: ${rows} ${rows === 1 ? 'row' : 'rows'}</li>
${delivered > 0 && html`<li>${delivered} delivered to Azure</li>`}
${letters.map(
  (letter) => html`<li>${time(letter.buried_at)} became dead letters: ${which(letter.rows)},
<code>${letter.code}</code> ${letter.reason}</li>`,
)}
${pending > 0 && html`<li>waiting for Azure: ${which(record.pending)}${held ?? null}</li>`}
</ol>`;
}

function quarantineParts(record: DetailJson): Html {
  const text = textOf(record);
  return html`<p>${record.reason}</p>${recordHelp([record])}
<ol class="way"><li>${time(record.received_at)} refused and kept as it came</li></ol>
${recordActions(record)}
<h2>Body</h2><pre tabindex="0">${text.slice(0, MAX_TEXT_SHOWN)}</pre>
${text.length > MAX_TEXT_SHOWN && html`<p>It goes on: <code data-copy>apono-sentinel outbox show ${record.id} --body</code></p>`}`;
}

/** Numbers keep their digits: one that a double cannot hold is shown as it is sent. */
function rowsOf(record: DetailJson): readonly JsonObject[] {
  return objectsOf(parseExact(textOf(record)));
}

function textOf(record: DetailJson): string {
  return record.body ?? Buffer.from(record.body_base64, 'base64').toString('latin1');
}

function cellOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
