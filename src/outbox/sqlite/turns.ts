import { type Commit, describeCommit } from '../commit.ts';
import type { PutOutcome } from '../port.ts';
import { describe } from './errors.ts';
import type { Answer, Operation, Operations, PutArgs, Reply, RequestOf, Requests } from './protocol.ts';
import type { Store } from './store.ts';

/** Bodies in one commit, so that the write-ahead log stays bounded; a single put may be larger. */
const MAX_GROUP_BYTES = 16 * 1024 * 1024;

type Other = RequestOf<Exclude<Operation, 'put' | 'settle' | 'close'>>;

interface Pruning {
  readonly id: number;
  readonly deliveredBefore: number;
  forgotten: number;
}

/**
 * What waits for the store, and in which order it is served: each turn takes every put that has arrived in one commit,
 * then every settlement in one commit, then one of the others. So new events go first, and yet a steady stream of them
 * cannot keep delivery from its share of the turns.
 */
export class Turns {
  readonly #store: Store;
  readonly #reply: (reply: Reply) => void;
  readonly #puts: RequestOf<'put'>[] = [];
  readonly #settles: RequestOf<'settle'>[] = [];
  readonly #others: Other[] = [];
  #pruning: Pruning | null = null;
  #closing: RequestOf<'close'> | null = null;

  constructor(store: Store, reply: (reply: Reply) => void) {
    this.#store = store;
    this.#reply = reply;
  }

  accept(requests: Requests): void {
    for (const request of requests) {
      if (request.op === 'put') this.#puts.push(request);
      else if (request.op === 'settle') this.#settles.push(request);
      else if (request.op === 'close') this.#closing = request;
      else this.#others.push(request);
    }
  }

  get isIdle(): boolean {
    return this.#puts.length + this.#settles.length + this.#others.length === 0 && this.#pruning === null;
  }

  take(): void {
    this.#runPuts();
    this.#runSettles();
    this.#runOther();
    this.#runPruning();
  }

  /** Call when idle. Closes the store when that was asked for, and says whether it did. */
  closeIfAsked(): boolean {
    if (this.#closing === null) return false;
    this.#store.close();
    this.#answer([done(this.#closing.id, null)]);
    return true;
  }

  /** All that one step answers goes in one message, as soon as it is done: a put does not wait for the settlements. */
  #answer(answers: readonly Answer[], commit: Commit | null = null): void {
    const isNull = (answer: Answer) => answer.type === 'done' && answer.value === null;
    const nulls = answers.filter(isNull).map(({ id }) => id);
    this.#reply({ type: 'answers', answers: answers.filter((answer) => !isNull(answer)), nulls, commit });
  }

  #takePuts(): RequestOf<'put'>[] {
    let bytes = 0;
    const end = this.#puts.findIndex((request, index) => {
      bytes += request.args.bytes;
      return index > 0 && bytes > MAX_GROUP_BYTES;
    });
    return this.#puts.splice(0, end === -1 ? this.#puts.length : end);
  }

  #runPuts(): void {
    const group = this.#takePuts();
    if (group.length === 0) return;
    const calls = group.map((request) => request.args);
    const begunAt = performance.now();
    const results = this.#store.put(calls);
    const durationMs = performance.now() - begunAt;
    const answers = group.map(({ id, args }, index) => {
      const result = results[index] ?? new Error('The group lost a put');
      return doneOrDefect(id, isAllNew(result, args) ? null : result);
    });
    this.#answer(answers, describeCommit(calls, results, durationMs));
  }

  #runSettles(): void {
    const group = this.#settles.splice(0);
    if (group.length === 0) return;
    const results = this.#store.settle(group.map((request) => request.args));
    this.#answer(
      group.map(({ id }, index) =>
        'unavailable' in results
          ? { type: 'unavailable', id, reason: results.unavailable }
          : doneOrDefect(id, results[index] ?? new Error('The group lost a settlement')),
      ),
    );
  }

  #runOther(): void {
    const request = this.#others.shift();
    if (request === undefined) return;
    try {
      if (request.op !== 'prune') this.#answer([done(request.id, this.#do(request))]);
      else if (this.#pruning !== null) this.#others.push(request);
      else this.#pruning = { id: request.id, deliveredBefore: request.args.deliveredBefore, forgotten: 0 };
    } catch (error) {
      this.#answer([{ type: 'unavailable', id: request.id, reason: describe(error) }]);
    }
  }

  #do(request: Exclude<Other, RequestOf<'prune'>>): Operations[Operation]['result'] {
    const store = this.#store;
    switch (request.op) {
      case 'claim':
        return store.claim(request.args);
      case 'bodies':
        return store.bodies(request.args);
      case 'stats':
        return store.stats();
      case 'recordedUntil':
        return store.recordedUntil();
      case 'list':
        return store.list(request.args);
      case 'show':
        return store.show(request.args.id);
      case 'find':
        return store.find(request.args.start);
      case 'revive':
        return store.revive(request.args.eventIds);
      case 'restore':
        return store.restore(request.args.records);
      case 'purge':
        return store.purge(request.args);
    }
  }

  /** One chunk a turn, so that a put does not wait for the whole. */
  #runPruning(): void {
    if (this.#pruning === null) return;
    const { forgotten, done: isOver } = this.#store.pruneChunk(this.#pruning.deliveredBefore);
    this.#pruning.forgotten += forgotten;
    // A shutdown does not wait for the rest, which the next prune forgets.
    if (!isOver && this.#closing === null) return;
    this.#answer([done(this.#pruning.id, this.#pruning.forgotten)]);
    this.#pruning = null;
  }
}

function done(id: number, value: Operations[Operation]['result']): Answer {
  return { type: 'done', id, value };
}

/** An Error is the fault of that call alone. */
function doneOrDefect(id: number, result: Operations[Operation]['result'] | Error): Answer {
  return result instanceof Error ? { type: 'defect', id, message: result.message } : done(id, result);
}

function isAllNew(result: PutOutcome | Error, { entries }: PutArgs): boolean {
  if (result instanceof Error || result.outcome !== 'stored') return false;
  return result.entries.length === entries.length && result.entries.every(({ duplicate }) => !duplicate);
}
