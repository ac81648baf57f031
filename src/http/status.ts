import { eventActions } from '../apono/event.ts';
import type { Clock } from '../ground/clock.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import { kinds } from '../kinds/registry.ts';
import { type StatsJson, statsJson } from '../outbox/operator.ts';
import { type HealthDocument, iso, type ServiceState } from './health.ts';
import type { History, Refusal } from './history.ts';
import { infoOf } from './problem-codes.ts';

/** Where the status gets its facts, beside those of /healthz. */
export interface StatusSources
  extends Pick<ServiceState, 'stats' | 'disk' | 'holds' | 'credentialEndsAt' | 'tokenObtainedAt'> {
  health(): Promise<HealthDocument>;
  readonly history: History;
  /** By kind; null: it is off, and its events are quarantined. */
  readonly streams: Readonly<Record<string, string | null>>;
}

export type ReadStatus = ReturnType<typeof createStatus>;
export type StatusJson = Awaited<ReturnType<ReadStatus>>;
export type FeedJson = ReturnType<typeof feedJson>;

/**
 * Reads what the page and `status` show, but for the plots and the records. It holds no secret and no text of an event.
 * What the outbox or the disk does not tell is null; the first is a problem of its own in `health`.
 */
export function createStatus(sources: StatusSources, clock: Clock) {
  return async () => {
    const [health, disk, stats] = await Promise.all([sources.health(), sources.disk(), sources.stats()]);
    const outbox = stats && statsJson(stats, sources.holds());
    return {
      now: iso(clock.now()),
      sentence: sentenceOf(health),
      to_do: toDoOf(health),
      health,
      outbox,
      last_accepted: health.last_accepted,
      last_delivered: health.last_delivery,
      feeds: kinds.map((kind) => feedJson(kind, sources, { outbox, health })),
      refusals: sources.history.refusals().map(refusalJson),
      token_obtained_at: iso(sources.tokenObtainedAt()),
      credential_expires_at: iso(sources.credentialEndsAt()),
      webhook_secret_since: iso(sources.history.secretSince()),
      disk: disk && { free_bytes: disk.freeBytes, size_bytes: disk.sizeBytes },
    };
  };
}

function sentenceOf(health: HealthDocument): string {
  const { outbox, retrying: [retried] = [] } = health;
  const count = toDoOf(health).length;
  const toDo = count === 0 ? '' : count === 1 ? '1 thing needs attention.' : `${count} things need attention.`;
  const events = outbox.waiting === 1 ? '1 event waits' : `${outbox.waiting ?? 'Some'} events wait`;
  const retry = retried && `${events}: ${retried.answer}. ${triesOf(retried)}.`;
  if (toDo !== '' || retry !== undefined) return `${toDo} ${retry ?? ''}`.trim();
  if (outbox.waiting !== null && outbox.waiting > 0) {
    return `All is well. ${outbox.waiting === 1 ? '1 event is' : `${outbox.waiting} events are`} on the way to Sentinel.`;
  }
  if (health.last_accepted === null) return 'All is well. No event has come from Apono since the start.';
  return 'All is well. Everything that Apono sent has reached Sentinel.';
}

/** What to do, and each problem that it ends. Streams that one thing holds, such as a missing role, are one problem. */
export function toDoOf({ problems, holds = [] }: Pick<HealthDocument, 'problems' | 'holds'>) {
  return [...Map.groupBy(problems, ({ fix }) => fix)].map(([fix, sharing]) => {
    const held = holds.flatMap((hold) => (hold?.fix === fix ? hold : []));
    const said = sharing.map(({ code, message }) => ({ code, message }));
    if (held.length < 2) return { fix, problems: said };
    const streams = held.map(({ stream }) => stream).join(', ');
    const message = `${held.length} streams are on hold: ${streams}. Of the first: ${held[0]?.reason}`;
    const others = said.filter(({ code }) => code !== 'delivery_on_hold');
    // A hold comes before whatever else its fix would end.
    return { fix, problems: [...said.slice(0, 1).map(({ code }) => ({ code, message })), ...others] };
  });
}

/** Since when a stream is tried again, and when next, to the second. */
export function triesOf({ since, next_try_at: next }: NonNullable<HealthDocument['retrying']>[number]): string {
  const [from, at] = [since, next].map((time) => time?.replace(/^.*T(.{8}).*$/, '$1Z'));
  return `Tried since ${from}, ${at === undefined ? 'and now again' : `next at ${at}`}`;
}

function feedJson(
  { name: kind, actionOf, bodyTemplate: { triggers = [] } }: WebhookKind,
  { history, streams }: StatusSources,
  { outbox, health }: { readonly outbox: StatsJson | null; readonly health: HealthDocument },
) {
  const toSend = outbox?.kinds[kind]?.count ?? 0;
  const hold = outbox?.holds.find((one) => one.kind === kind) ?? null;
  const retrying = health.retrying?.find((one) => one.kind === kind) ?? null;
  const stream = streams[kind] ?? 'off';
  const lastDelivered = health.last_delivery_by_kind[kind] ?? null;
  const whenWell = lastDelivered === null && toSend === 0 ? 'idle' : 'delivering';
  const [accepted, delivered] = [history.lastAccepted(), history.lastDelivered()];
  const expected = actionOf && triggers.map(actionOf);
  const actions = eventActions.filter(
    (action) => expected && (expected.includes(action) || accepted.has(`${kind} ${action}`)),
  );
  return {
    kind,
    stream,
    state: hold !== null ? 'on hold' : stream === 'off' ? 'off' : retrying !== null ? 'trying again' : whenWell,
    last_accepted: health.last_accepted_by_kind[kind] ?? null,
    last_delivered: lastDelivered,
    /** Events that wait or are held. */
    to_send: outbox === null ? null : toSend,
    hold,
    retrying,
    /** What was to be switched on in Apono or has come, in the order of a request's life; empty for other kinds. */
    actions: actions.map((action) => ({
      action,
      last_accepted: iso(accepted.get(`${kind} ${action}`) ?? null),
      last_delivered: iso(delivered.get(`${kind} ${action}`) ?? null),
    })),
  };
}

function refusalJson({ code, clientAddress, count, lastAt }: Refusal) {
  const aborted = { title: 'The caller went away before there was an answer', remedy: 'Look at the network.' };
  const { title, remedy } = infoOf(code) ?? aborted;
  return { code, client_address: clientAddress, count, last_at: iso(lastAt), title, remedy };
}

/** Without the write-ahead log, which OUTBOX_MAX_BYTES does not limit. */
export function usedText({ used_bytes: used, log_bytes: log, max_bytes: max }: StatsJson): string {
  return `${bytes(used - log)} of ${bytes(max)}`;
}

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(count: number): string {
  const unit = count < 1_024 ? 0 : Math.min(Math.floor(Math.log2(count) / 10), units.length - 1);
  return `${unit === 0 ? count : (count / 1_024 ** unit).toFixed(1)} ${units[unit]}`;
}

export function duration(totalSeconds: number): string {
  const days = Math.floor(totalSeconds / 86_400);
  const hours = Math.floor((totalSeconds % 86_400) / 3_600);
  const minutes = Math.floor((totalSeconds % 3_600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.floor(totalSeconds)} s`;
}
