import { setImmediate as nextTurn } from 'node:timers/promises';
import { CallError, DamageError, FullError } from './engine.ts';
import type { StoredRecord } from './records.ts';

/** Bodies and rows of one commit, so that its memory and time stay bounded; a single call may be larger. */
const MAX_GROUP_BYTES = 16 * 1024 * 1024;
/** While one group is synced, the main thread answers the one before and takes what the next is made of. */
const MAX_GROUP_CALLS = 32;

interface Waiting<Call, Value> extends PromiseWithResolvers<Value> {
  readonly call: Call;
}

/**
 * Calls that share a transaction: one group runs at a time, and all that come meanwhile go together into the next one.
 * `run` does them all or none, and gives one value for each, in their order. One of them may be at fault or touch a
 * damaged page, and a small one may have room when all of them have not: then each is tried alone. The returned function
 * adds a call; it rejects with what `run` rejects with.
 */
export function createLane<Call, Value>(
  run: (calls: readonly Call[]) => Promise<readonly Value[]>,
  bytesOf: (call: Call) => number = () => 0,
): (call: Call) => Promise<Value> {
  const waiting: Waiting<Call, Value>[] = [];
  let isRunning = false;

  async function drain(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) {
      // A SQLite engine blocks the thread while it commits: what arrived meanwhile is only seen in the next turn of the
      // event loop, which also lets the other lane have its share.
      await nextTurn();
      await runGroup(takeGroup());
    }
    isRunning = false;
  }

  function takeGroup(): Waiting<Call, Value>[] {
    let bytes = 0;
    const end = waiting.findIndex(({ call }, index) => {
      bytes += bytesOf(call);
      return index > 0 && (bytes > MAX_GROUP_BYTES || index >= MAX_GROUP_CALLS);
    });
    return waiting.splice(0, end === -1 ? waiting.length : end);
  }

  async function runGroup(group: readonly Waiting<Call, Value>[]): Promise<void> {
    try {
      const values = await run(group.map(({ call }) => call));
      for (const [index, value] of values.entries()) group[index]?.resolve(value);
    } catch (error) {
      const mayBeOnes = error instanceof CallError || error instanceof DamageError || isOverLimit(error);
      if (group.length > 1 && mayBeOnes) for (const one of group) await runGroup([one]);
      else for (const { reject } of group) reject(error);
    }
  }

  return (call) => {
    const added = { call, ...Promise.withResolvers<Value>() };
    waiting.push(added);
    if (!isRunning) void drain();
    return added.promise;
  };
}

/** OUTBOX_MAX_BYTES is reached, by the data or the log: nothing is wrong with the database, and less may still fit. */
export function isOverLimit(error: unknown): boolean {
  return error instanceof FullError && error.reached !== 'disk';
}

/** Of the texts and bodies that a commit of these records writes. Characters count as bytes: nearly all are ASCII. */
export function sizeOf(records: readonly StoredRecord[]): number {
  let size = 0;
  for (const record of records) {
    if (record.type === 'quarantine') size += record.body.length;
    if (record.type === 'event') size += record.shared.length + record.own.length;
  }
  return size;
}
