import { setImmediate as nextTurn } from 'node:timers/promises';
import type { OutboxEntry } from '../ground/event.ts';
import { CallError, DamageError, type Engine, FullError, type Put } from './engine.ts';
import type { PutOutcome, Settlement, SettlementOutcome } from './port.ts';

/** Bodies and rows of one commit, so that its memory and time stay bounded; a single call may be larger. */
const MAX_GROUP_BYTES = 16 * 1024 * 1024;
const MAX_GROUP_CALLS = 500;

interface Waiting<Call, Value> {
  readonly call: Call;
  readonly resolve: (value: Value) => void;
  readonly reject: (error: unknown) => void;
}

/** Calls that share a commit: one group runs at a time, and all that come meanwhile go together into the next one. */
export interface Lane<Call, Value> {
  add(call: Call): Promise<Value>;
}

/**
 * `run` gives one result for each call, in their order; an Error rejects that call alone. If `run` rejects, so do all
 * calls of the group.
 */
export function createLane<Call, Value>(
  run: (calls: readonly Call[]) => Promise<readonly (Value | Error)[]>,
  bytesOf: (call: Call) => number = () => 0,
): Lane<Call, Value> {
  const waiting: Waiting<Call, Value>[] = [];
  let isRunning = false;

  function take(): Waiting<Call, Value>[] {
    let bytes = 0;
    const end = waiting.findIndex(({ call }, index) => {
      bytes += bytesOf(call);
      return index > 0 && (bytes > MAX_GROUP_BYTES || index >= MAX_GROUP_CALLS);
    });
    return waiting.splice(0, end === -1 ? waiting.length : end);
  }

  async function runGroup(group: readonly Waiting<Call, Value>[]): Promise<void> {
    try {
      const results = await run(group.map(({ call }) => call));
      for (const [index, { resolve, reject }] of group.entries()) {
        const result = results[index] ?? new Error('The group lost a call');
        if (result instanceof Error) reject(result);
        else resolve(result);
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      // A SQLite engine blocks the thread while it commits: what arrived meanwhile is only seen in the next turn of the
      // event loop, which also lets the other lanes have their share.
      await nextTurn();
      await runGroup(take());
    }
    isRunning = false;
  }

  return {
    add(call) {
      return new Promise((resolve, reject) => {
        waiting.push({ call, resolve, reject });
        if (isRunning) return;
        isRunning = true;
        void drain();
      });
    },
  };
}

/** What the store learns of the transactions of a group of puts. */
export interface CommitWatch {
  onCommitted(): void;
  /** The error concerns all puts. Returns the reason. */
  onFailed(error: unknown): string;
}

/**
 * Commits puts in one transaction. One of them may be at fault or touch a damaged page, and a small one may have room when
 * all of them have not: then each is committed alone.
 */
export async function commitTogether(
  engine: Engine,
  puts: readonly Put[],
  watch: CommitWatch,
): Promise<(PutOutcome | Error)[]> {
  try {
    const stored = await engine.commit(puts);
    watch.onCommitted();
    return stored.map((entries) => ({ outcome: 'stored', entries }));
  } catch (error) {
    const isOverLimit = error instanceof FullError && error.reached === 'limit';
    if (puts.length > 1 && (isOverLimit || error instanceof CallError || error instanceof DamageError)) {
      const results: (PutOutcome | Error)[] = [];
      for (const put of puts) results.push(...(await commitTogether(engine, [put], watch)));
      return results;
    }
    if (error instanceof CallError) return [new RangeError(error.message, { cause: error })];
    if (isOverLimit) return [{ outcome: 'full' }];
    const reason = watch.onFailed(error);
    return puts.map(() => (error instanceof FullError ? { outcome: 'full' } : { outcome: 'unavailable', reason }));
  }
}

export function outcomeOf(results: readonly (PutOutcome | Error)[]): 'committed' | 'full' | 'failed' {
  const outcomes = new Set(results.map((result) => (result instanceof Error ? 'stored' : result.outcome)));
  return outcomes.has('stored') ? 'committed' : outcomes.has('full') ? 'full' : 'failed';
}

/** Bytes of rows that wait now and did not before, by kind. */
export function newlyWaiting(
  puts: readonly Put[],
  results: readonly (PutOutcome | Error)[],
): ReadonlyMap<string, number> {
  const bytes = new Map<string, number>();
  for (const [index, result] of results.entries()) {
    if (result instanceof Error || result.outcome !== 'stored') continue;
    for (const [place, { duplicate }] of result.entries.entries()) {
      const entry = puts[index]?.entries[place];
      if (duplicate || entry?.type !== 'event') continue;
      bytes.set(entry.kind, (bytes.get(entry.kind) ?? 0) + entry.mappedBytes);
    }
  }
  return bytes;
}

export interface SettleCall {
  readonly settlements: readonly Settlement[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Settles calls in one transaction; if one of them is wrong or touches a damaged page, each alone. */
export async function settleTogether(
  engine: Engine,
  calls: readonly SettleCall[],
): Promise<(readonly SettlementOutcome[] | Error)[]> {
  const settlements = calls.flatMap((call) => call.settlements);
  try {
    const outcomes = (await engine.settle(settlements, Math.max(...calls.map(({ now }) => now)))).values();
    return calls.map((call) => call.settlements.map(() => outcomes.next().value ?? 'stale'));
  } catch (error) {
    if (calls.length === 1 && error instanceof CallError) return [error];
    if (calls.length === 1 || !(error instanceof CallError || error instanceof DamageError)) throw error;
    const results: (readonly SettlementOutcome[] | Error)[] = [];
    for (const call of calls) {
      const [result] = await settleTogether(engine, [call]).catch((alone: Error) => [alone]);
      results.push(result ?? new Error('The group lost a call'));
    }
    return results;
  }
}

/** Of the texts and bodies that a commit of these entries writes. Characters count as bytes: nearly all are ASCII. */
export function sizeOf(entries: readonly OutboxEntry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.type === 'event' ? textLength(entry.rows) : entry.body.length), 0);
}

function textLength({ shared, own }: { readonly shared: string; readonly own: readonly string[] }): number {
  return own.reduce((sum, text) => sum + text.length, shared.length);
}
