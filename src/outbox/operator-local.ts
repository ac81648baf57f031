import type { RowRange } from '../ground/event.ts';
import type { Logger } from '../ground/log.ts';
import {
  detailJson,
  goneJson,
  type HeldKind,
  type OutboxOperator,
  pageJson,
  RecordIdError,
  type ReplayResult,
  statsJson,
} from './operator.ts';
import { OutboxUnavailableError, type Queue } from './port.ts';
import type { OutboxRecords } from './records.ts';
import { countRows, mergeRanges } from './rows.ts';

/** What a log line names; the others are counted. */
const MAX_LOGGED_IDS = 100;

/** An operator may shorten an id to so many characters or more. */
const MIN_ID_CHARACTERS = 8;

interface OperatorOptions {
  readonly outbox: OutboxRecords & Pick<Queue, 'stats'>;
  readonly log: Logger;
  readonly holds: () => readonly HeldKind[];
}

/** The operator's hands on an outbox that this process has open. Rejects with an OutboxUnavailableError. */
export function createOperator({ outbox, holds, log }: OperatorOptions): OutboxOperator {
  return {
    stats: async () => statsJson(await outbox.stats(), holds()),
    async list({ state, kind, ...request }) {
      if (state === 'dead' || state === 'quarantined') {
        return pageJson(await outbox.list({ state, ...request, ...(kind !== undefined && { kinds: [kind] }) }));
      }
      // Which stream is on hold is delivery's knowledge and not the outbox's, so `held` and `waiting` are told apart here,
      // by kind. A cursor is a position among all records: a hold that begins or ends between two pages skips none.
      const held = holds().map((hold) => hold.kind);
      const kinds =
        state === 'held' ? held : Object.keys((await outbox.stats()).waiting).filter((name) => !held.includes(name));
      const chosen = kinds.filter((name) => name === (kind ?? name));
      return pageJson(await outbox.list({ ...request, state: 'waiting', kinds: chosen }));
    },
    async show(id) {
      const record = await outbox.show(await wholeId(id, outbox));
      return record && detailJson(record);
    },
    async gone(id) {
      const event = await outbox.gone(id);
      return event && goneJson(event);
    },
    replay(ids, { dryRun }) {
      const act = async (whole: readonly string[]) => {
        const results = await replay(whole, dryRun, outbox);
        if (!dryRun) logReplay(results, log);
        return results;
      };
      return onRecords(ids, outbox, act, replayRefusal);
    },
    purge(ids) {
      const act = async (whole: readonly string[]) => {
        const removed = await outbox.purge(whole);
        const purged = whole.filter((_, index) => removed[index]);
        if (purged.length > 0) log.warn({ records: purged.length, ids: purged.slice(0, MAX_LOGGED_IDS) }, 'purged');
        return whole.map((id) => ({ id, purged: purged.includes(id) }));
      };
      return onRecords(ids, outbox, act, (id, error) => {
        if (!(error instanceof RecordIdError)) throw error;
        return { id, purged: false, code: error.code, detail: error.message };
      });
    },
  };
}

/**
 * Acts on the records that the ids name, on each once however often and however short it is named; the results are in the
 * order of the ids. `refused` gives the result of an id that names no record, or throws.
 */
async function onRecords<Result extends { readonly id: string }>(
  ids: readonly string[],
  outbox: OutboxRecords,
  act: (whole: readonly string[]) => Promise<readonly Result[]>,
  refused: (id: string, error: unknown) => Result,
): Promise<readonly Result[]> {
  const wholeIds = new Map<string, string>();
  const results = new Map<string, Result>();
  for (const id of new Set(ids)) {
    await wholeId(id, outbox).then(
      (whole) => wholeIds.set(id, whole),
      (error: unknown) => results.set(id, refused(id, error)),
    );
  }
  const named = [...new Set(wholeIds.values())];
  for (const result of named.length === 0 ? [] : await act(named)) results.set(result.id, result);
  return ids.flatMap((id) => results.get(wholeIds.get(id) ?? id) ?? []);
}

/**
 * The id of the only record whose id begins with `start`; `start` itself if there is no such record. Rejects with a
 * RecordIdError.
 */
async function wholeId(start: string, outbox: OutboxRecords): Promise<string> {
  const { first, count } = await outbox.find(start);
  if (first === start) return start;
  if (start.length < MIN_ID_CHARACTERS) {
    const message = `"${start}" is too short: give the first ${MIN_ID_CHARACTERS} characters of an id or more.`;
    throw new RecordIdError('id_too_short', message);
  }
  if (count > 1) {
    const message = `${count} records have an id that begins with "${start}": give more characters of it.`;
    throw new RecordIdError('id_ambiguous', message);
  }
  return first ?? start;
}

/** Quarantined bodies one by one, each in a transaction of its own; all events in one at the end. */
async function replay(ids: readonly string[], dryRun: boolean, outbox: OutboxRecords): Promise<ReplayResult[]> {
  const results: ReplayResult[] = [];
  /** The dead rows of each event. */
  const dead = new Map<string, readonly RowRange[]>();
  for (const id of ids) {
    try {
      const record = await outbox.show(id);
      const letters = record?.deadLetters.flatMap(({ rows }) => rows) ?? [];
      if (record?.type === 'quarantine') results.push({ id, ...(await outbox.readAgain(id, dryRun)) });
      else if (letters.length > 0) dead.set(id, mergeRanges(letters, []));
      else results.push({ id, outcome: 'nothing_to_replay' });
    } catch (error) {
      results.push(replayRefusal(id, error));
    }
  }
  if (dead.size === 0) return results;
  try {
    const counts = dryRun ? [...dead.values()].map(countRows) : await outbox.revive([...dead.keys()]);
    for (const [index, [id, ranges]] of [...dead].entries()) {
      const rows = counts[index] ?? 0;
      results.push(rows === 0 ? { id, outcome: 'nothing_to_replay' } : { id, outcome: 'revived', rows, ranges });
    }
  } catch (error) {
    for (const id of dead.keys()) results.push(replayRefusal(id, error));
  }
  return results;
}

/** The answer for the others must not depend on one that failed. */
function replayRefusal(id: string, error: unknown): ReplayResult {
  if (error instanceof OutboxUnavailableError) return { id, outcome: 'unavailable' };
  if (!(error instanceof RecordIdError)) throw error;
  return { id, outcome: 'nothing_to_replay', code: error.code, detail: error.message };
}

function logReplay(results: readonly ReplayResult[], log: Logger): void {
  const ids = results.filter(({ outcome }) => outcome === 'revived' || outcome === 'accepted').map(({ id }) => id);
  const events = results.flatMap((result) => (result.outcome === 'accepted' ? result.events : []));
  const fields = {
    records: ids.length,
    not_replayed: results.length - ids.length,
    ids: ids.slice(0, MAX_LOGGED_IDS),
    event_ids: events.slice(0, MAX_LOGGED_IDS).map((event) => event.event_id),
  };
  log.info(fields, 'replayed');
}
