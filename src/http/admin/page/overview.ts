import type { RecordJson } from '../../../outbox/operator.ts';
import { shorten } from '../../answer.ts';
import { helpWith, replayHelps } from '../../health-problems.ts';
import type { HistoryColumns } from '../../history.ts';
import { bytes, duration, type FeedJson, type StatusJson, triesOf, usedText } from '../../status.ts';
import { facts, type Html, html, table, time, withCode } from './layout.ts';

interface OverviewData {
  readonly status: StatusJson;
  readonly history: HistoryColumns;
  /** The first of each, and whether there are more; null: the outbox does not answer. */
  readonly dead: RecordList | null;
  readonly quarantined: RecordList | null;
}

export interface RecordList {
  readonly records: readonly (RecordJson & { readonly headline: string | null })[];
  readonly hasMore: boolean;
}

/** Of the lists: the page of a record has the whole text. */
const MAX_HEADLINE = 120;
const MAX_REASON = 240;

/** The first page: whether all is well, what to do if it is not, and what happened within the last day. */
export function overviewPage({ status, history, dead, quarantined }: OverviewData): Html {
  return html`${[
    verdict(status),
    figures(status),
    plots(history),
    feeds(status),
    triggers(status),
    refusals(status),
    records('dead', 'Dead letters', dead, 'There is none.'),
    records('quarantined', 'Quarantine', quarantined, 'Every body was understood.'),
    find(),
    machine(status),
  ]}`;
}

function verdict({ sentence, health, to_do: toDo }: StatusJson): Html {
  const items = toDo.map(({ fix, problems }) => {
    const codes = [...new Set(problems.map(({ code }) => code))].join(', ');
    return html`<li>${problems.map(({ message }) => html`<h2>${message}</h2>`)}
<p>${withCode(fix)}</p><p class="code">${codes}</p></li>`;
  });
  // /healthz stays ok: it must not restart or page for each pause that Azure asks for.
  const status = health.status === 'ok' && health.retrying !== undefined ? 'degraded' : health.status;
  return html`<section id="verdict" class="${status}">
<h1>${sentence}</h1>
${items.length > 0 && html`<ol>${items}</ol>`}
</section>`;
}

function figures({ health, outbox, ...last }: StatusJson): Html {
  const { waiting, held, dead, quarantined, oldest_age_seconds: oldest } = health.outbox;
  const unknown = html`<span class="none">unknown</span>`;
  return html`<section id="figures" aria-label="Figures">${facts([
    ['Waiting', waiting ?? unknown],
    ['Held', held ?? unknown],
    ['Dead letters', dead ?? unknown],
    ['In quarantine', quarantined ?? unknown],
    ['Oldest waits', oldest === null ? unknown : duration(oldest)],
    ['Last accepted', time(last.last_accepted)],
    ['Last delivered', time(last.last_delivered)],
    ['Outbox', outbox === null ? unknown : usedText(outbox)],
  ])}</section>`;
}

/** The script draws the plots; the table says the same by the hour, to anybody who cannot see them. */
function plots(history: HistoryColumns): Html {
  return html`<section id="plots"><h2>The last 24 hours</h2>
<div id="drawn" hidden></div>
<details><summary>By the hour, as a table</summary>${table(
    'The last 24 hours by the hour',
    ['Hour from', 'Rows accepted', 'Rows delivered', 'Requests refused', 'Oldest waited', 'Slowest delivery'],
    hoursOf(history),
    'Nothing was measured yet.',
  )}</details></section>`;
}

/** The hours in which the service ran, newest first, with the values of the table's columns. */
function hoursOf(history: HistoryColumns) {
  const starts = [...Array(24).keys()].map((hour) => history.time.length - (hour + 1) * 60);
  return starts.flatMap((start) => {
    const known = (column: readonly (number | null)[]) =>
      column.slice(start, start + 60).filter((value) => value !== null);
    if (known(history.rows_accepted).length === 0) return [];
    const from = new Date((history.time[start] ?? 0) * 1_000).toISOString();
    const counted = [history.rows_accepted, history.rows_delivered, history.requests_refused];
    const counts = counted.map((column) => known(column).reduce((sum, value) => sum + value, 0));
    const timed = [history.oldest_waiting_seconds, history.delivery_max_seconds];
    return [[time(from), ...counts, ...timed.map((column) => duration(Math.max(0, ...known(column))))]];
  });
}

function feeds({ feeds }: StatusJson): Html {
  return html`<section id="feeds"><h2>Streams</h2>${table(
    'Streams',
    ['Webhook', 'Stream', 'State', 'Last accepted', 'Last delivered', 'To send'],
    feeds.map((feed) => {
      const { kind, stream, last_accepted: accepted, last_delivered: delivered, to_send: toSend } = feed;
      return [kind, stream, stateOf(feed), time(accepted), time(delivered), toSend];
    }),
    '',
  )}</section>`;
}

function stateOf({ kind, state, hold, retrying }: FeedJson): Html {
  if (state === 'off') return html`off: its events are quarantined`;
  const azure = hold?.message ? html`<p>Azure said: <q>${hold.message}</q></p>` : null;
  const said = hold
    ? html` since ${time(hold.since)}
<details><summary>${hold.code}</summary><p>${hold.reason}</p><p>${withCode(hold.fix)}</p>${azure}</details>`
    : retrying && html`: ${retrying.answer}. ${triesOf(retrying)}.`;
  if (said === null) return html`${state}`;
  return html`<strong>${state}</strong>${said}
<span class="actions" data-kind="${kind}"><button type="button" data-action="retry">Try again now</button>
<span role="status"></span></span>`;
}

function triggers({ feeds }: StatusJson): Html {
  const rows = feeds.flatMap(({ kind, actions }) =>
    actions.map(({ action, last_accepted: accepted, last_delivered: delivered }) => [
      ...[kind, action, time(accepted, 'not seen yet'), time(delivered, 'not yet')],
    ]),
  );
  return html`<section id="triggers"><h2>What has come from Apono</h2>
<p>A trigger that never came may not be switched on in Apono's webhook, or nobody did that yet.</p>${table(
    'What has come from Apono',
    ['Webhook', 'Event', 'Last accepted', 'Last delivered'],
    rows,
    '',
  )}</section>`;
}

function refusals({ refusals, health: { uptime_seconds: uptime } }: StatusJson): Html {
  const since = uptime < 3_600 ? ` since the start, ${duration(uptime)} ago` : '';
  return html`<section id="refusals"><h2>Refused within the last hour</h2>${table(
    'Refused within the last hour',
    ['Code', 'Why', 'From', 'Requests', 'Last'],
    refusals.map(({ code, title, remedy, client_address: address, count, last_at: at }) => [
      html`<code>${code}</code>`,
      html`${title}. ${withCode(remedy)}`,
      ...[address ?? 'a caller with the secret', count, time(at)],
    ]),
    `No webhook was refused${since}.`,
  )}</section>`;
}

function records(id: string, title: string, list: RecordList | null, none: string): Html {
  const { records, hasMore } = list ?? { records: [], hasMore: false };
  const more = html`<p>There are more: <code data-copy>apono-sentinel outbox list --state ${id}</code></p>`;
  return html`<section id="${id}"><h2>${title}</h2>${recordHelp(records)}${table(
    title,
    ['Record', 'Received', 'Asked for', 'Code', 'Why', 'To do'],
    records.map((record) => [
      html`<a href="/events/${record.id}">${record.id.slice(0, 12)}…</a> ${record.kind}`,
      ...[time(record.received_at), record.headline && shorten(record.headline, MAX_HEADLINE)],
      ...[html`<code>${record.code}</code>`, shorten(record.reason ?? '', MAX_REASON)],
      recordActions(record),
    ]),
    list === null ? 'The outbox does not answer.' : none,
  )}${hasMore && more}</section>`;
}

export function recordHelp(records: readonly { readonly code: string | null }[]): Html {
  const codes = [...new Set(records.flatMap(({ code }) => code ?? []))].sort();
  return html`${codes.map((code) => html`<p><code>${code}</code>: ${withCode(helpWith(code))}</p>`)}`;
}

/** Buttons where scripts run and a replay may help. A dry run says what a replay would do and changes nothing. */
export function recordActions({ id, code, dead_rows: dead }: Pick<RecordJson, 'id' | 'code' | 'dead_rows'>): Html {
  const buttons = html`<span class="actions" data-id="${id}">
<button type="button" data-action="dry-run">Dry run</button> <button type="button" data-action="replay">Replay</button>
<span role="status"></span></span>`;
  return html`${(dead > 0 || replayHelps[code ?? ''] !== undefined) && buttons}
<p>Delete it: <code data-copy>apono-sentinel outbox purge ${id.slice(0, 12)}</code></p>`;
}

/** An event_id stands in each row and in the answer to each webhook; delivered events are found too. */
function find(): Html {
  return html`<section id="find"><h2>Find an event</h2>
<form action="/events"><label for="event-id">Its event_id, or the first eight characters or more</label>
<input id="event-id" name="id" minlength="8" maxlength="100" autocomplete="off" spellcheck="false" required>
<button type="submit">Show</button></form></section>`;
}

function machine(status: StatusJson): Html {
  const { health, outbox, disk } = status;
  const { token_expires_at: tokenEnds, previous_secret_last_used_at: previousUsed } = health;
  return html`<section id="machine"><h2>Service</h2>${facts([
    ['Version', health.version],
    ['Running for', duration(health.uptime_seconds)],
    [
      'Azure token',
      tokenEnds === null ? 'none yet' : html`obtained ${time(status.token_obtained_at)}, ends ${time(tokenEnds)}`,
    ],
    ['Credential ends', time(status.credential_expires_at, 'not known')],
    ['Webhook secret in use since', time(status.webhook_secret_since)],
    ['Previous webhook secret used', time(previousUsed)],
    ['Write-ahead log', outbox === null ? null : bytes(outbox.log_bytes)],
    ['Disk', disk === null ? 'not known' : `${bytes(disk.free_bytes)} free of ${bytes(disk.size_bytes)}`],
    ['Damaged file', health.damaged_file ?? 'none'],
    ['Heartbeat', health.heartbeat === undefined ? 'off' : time(health.heartbeat.last_sent)],
  ])}</section>`;
}
