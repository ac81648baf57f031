import type { Commit } from '../commit.ts';
import type {
  ClaimedEvent,
  ClaimKey,
  ClaimRequest,
  OutboxEntry,
  OutboxStats,
  PutOutcome,
  Settlement,
  SettlementOutcome,
} from '../port.ts';
import type { FoundIds, RecordDetail } from '../records.ts';
import type { ListArgs } from '../requests.ts';
import type { RestoreOutcome, SalvagedRecord } from '../salvaged.ts';
import type { OutboxStartCode } from '../start-error.ts';
import type { Page } from './list.ts';
import type { PurgeArgs } from './purge.ts';

/** What the main thread and the worker say to each other. Times are milliseconds since the epoch, by the main thread's clock. */

export interface WorkerSettings {
  readonly dataDir: string;
  readonly maxBytes: number;
  readonly now: number;
}

export interface PutArgs {
  readonly entries: readonly OutboxEntry[];
  /** Size of the bodies. */
  readonly bytes: number;
  readonly now: number;
  /** See PutOptions; null: nothing. */
  readonly resolves: string | null;
}

export interface SettleArgs {
  readonly settlements: readonly Settlement[];
  readonly now: number;
}

/** The requests, by name: what they take and what they give. */
export interface Operations {
  /** Null: all of its entries are new, as nearly always, and need no description. */
  put: { args: PutArgs; result: PutOutcome | null };
  claim: { args: ClaimRequest; result: readonly ClaimedEvent[] };
  bodies: { args: readonly ClaimKey[]; result: readonly (string | null)[] };
  settle: { args: SettleArgs; result: readonly SettlementOutcome[] };
  stats: { args: null; result: OutboxStats };
  prune: { args: { readonly deliveredBefore: number }; result: number };
  recordedUntil: { args: null; result: number | null };
  list: { args: ListArgs; result: Page };
  show: { args: { readonly id: string }; result: RecordDetail | null };
  find: { args: { readonly start: string }; result: FoundIds };
  revive: { args: { readonly eventIds: readonly string[] }; result: readonly number[] };
  restore: { args: { readonly records: readonly SalvagedRecord[] }; result: RestoreOutcome };
  purge: { args: PurgeArgs; result: readonly boolean[] };
  /** Comes last: everything that was asked before is done first. The worker ends after its answer. */
  close: { args: null; result: null };
}

export type Operation = keyof Operations;

export type Request = {
  [Name in Operation]: { readonly id: number; readonly op: Name; readonly args: Operations[Name]['args'] };
}[Operation];

/** What the main thread posts: all that was asked in one turn of its event loop, in order. */
export type Requests = readonly Request[];

export type RequestOf<Name extends Operation> = Extract<Request, { op: Name }>;

export type Answer =
  | { readonly type: 'done'; readonly id: number; readonly value: Operations[Operation]['result'] }
  /** The store could not do it now. */
  | { readonly type: 'unavailable'; readonly id: number; readonly reason: string }
  /** The caller's fault: a RangeError there. */
  | { readonly type: 'defect'; readonly id: number; readonly message: string };

export type Reply =
  | { readonly type: 'opened'; readonly damagedFile: string | null }
  /** The worker ends after this. */
  | { readonly type: 'open_failed'; readonly code: OutboxStartCode; readonly message: string }
  /** All that was done at once. */
  | {
      readonly type: 'answers';
      readonly answers: readonly Answer[];
      /** Ids of requests that are done and whose result is null, in short. */
      readonly nulls: readonly number[];
      /** What a group of puts took; null: there was none. */
      readonly commit: Commit | null;
    };
