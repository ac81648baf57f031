import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { EventEntry, RowRange } from '../../src/ground/event.ts';
import type { OutboxStats } from '../../src/outbox/port.ts';
import type { RecordPage } from '../../src/outbox/records.ts';
import { claimAll, type OpenFixture, type OutboxFixture } from './contract.ts';
import { type Held, receivedAt, rowsOf, settlement, storedBytes } from './samples.ts';

/**
 * Random histories, held against an outbox of three maps: the slow, obvious one that keeps each row by itself.
 */

type Row = 'pending' | 'delivered' | 'dead';

interface ModelEvent {
  readonly eventId: string;
  readonly kind: string;
  readonly receivedAt: number;
  readonly seq: number;
  readonly rows: Row[];
  readonly entry: EventEntry;
}

const KINDS = ['request', 'audit'] as const;
const ROWS_OF = (n: number) => (n % 5) + 1;
const T = Date.UTC(2026, 0, 2);

const byAge = (a: ModelEvent, b: ModelEvent): number => a.receivedAt - b.receivedAt || a.seq - b.seq;

class Model {
  readonly events = new Map<string, ModelEvent>();
  /** When it was delivered; null while it was not. */
  readonly identities = new Map<string, number | null>();
  /** Claims that the test holds, the former ones too: those are stale. */
  readonly held = new Map<string, Held>();
  readonly stale: Held[] = [];
  readonly #heldRows = new Map<string, Set<number>>();
  #seq = 0;

  hold(claimed: Held): void {
    this.held.set(claimed.eventId, claimed);
    this.#heldRows.set(claimed.eventId, new Set(expand(claimed.ranges)));
  }

  /** Rows of the claim that are not settled yet. A row that is revived meanwhile is not among them. */
  heldRows(eventId: string): number[] {
    return [...(this.#heldRows.get(eventId) ?? [])];
  }

  put(entry: EventEntry): boolean {
    const { eventId, kind, receivedAt, rowCount } = entry;
    if (this.identities.has(eventId)) return false;
    this.identities.set(eventId, null);
    const rows = Array.from({ length: rowCount }, (): Row => 'pending');
    this.events.set(eventId, { eventId, kind, receivedAt, seq: this.#seq++, rows, entry });
    return true;
  }

  claimable(kind: string): ModelEvent[] {
    return [...this.events.values()]
      .filter((each) => each.kind === kind && each.rows.includes('pending') && !this.held.has(each.eventId))
      .sort(byAge);
  }

  settle(eventId: string, fate: (row: number) => Row, now: number): void {
    const { rows } = this.events.get(eventId) ?? assert.fail('settled an event that the model lost');
    for (const n of this.heldRows(eventId)) rows[n] = fate(n);
    const left = this.heldRows(eventId).filter((n) => rows[n] === 'pending');
    this.#heldRows.set(eventId, new Set(left));
    if (rows.every((row) => row === 'delivered')) {
      this.events.delete(eventId);
      this.identities.set(eventId, now);
    }
  }

  endClaim(eventId: string): void {
    const claimed = this.held.get(eventId);
    if (claimed !== undefined) this.stale.push(claimed);
    this.held.delete(eventId);
  }

  revive(eventId: string): number {
    const rows = this.events.get(eventId)?.rows ?? [];
    let revived = 0;
    for (const [n, row] of rows.entries()) {
      if (row !== 'dead') continue;
      rows[n] = 'pending';
      revived++;
    }
    return revived;
  }

  purge(eventId: string, now: number): boolean {
    if (!this.events.delete(eventId)) return false;
    this.identities.set(eventId, now);
    this.endClaim(eventId);
    return true;
  }

  /** Of one state, oldest first. */
  listed(state: 'waiting' | 'dead', kind: string | null): ModelEvent[] {
    const row = state === 'waiting' ? 'pending' : 'dead';
    return [...this.events.values()]
      .filter((each) => each.rows.includes(row) && (kind === null || each.kind === kind))
      .sort(byAge);
  }

  prune(before: number): number {
    const old = [...this.identities].filter(([, at]) => at !== null && at < before);
    for (const [id] of old) this.identities.delete(id);
    return old.length;
  }
}

/** Ranges of the rows for which `has` holds. */
function rangesOf(rows: readonly Row[], has: (row: Row, n: number) => boolean): RowRange[] {
  return rows.flatMap((row, n): RowRange[] => (has(row, n) ? [[n, n + 1]] : []));
}

function expand(ranges: readonly RowRange[]): number[] {
  return ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, n) => from + n));
}

type Step = (fixture: OutboxFixture, model: Model) => Promise<void>;

const putStep =
  (numbers: readonly number[], age: number): Step =>
  async ({ outbox, clock }, model) => {
    const entries = numbers.map((n) =>
      receivedAt(`e${n}`, T - age * n, {
        kind: KINDS[n % 2] ?? 'request',
        rowCount: ROWS_OF(n),
      }),
    );
    const isNew = entries.map((e) => model.put(e));
    const put = await outbox.put(entries);
    assert(put.outcome === 'stored');
    assert.deepEqual(
      put.entries.map((entry) => !entry.duplicate),
      isNew,
    );
    clock.advance(1);
  };

const claimStep =
  (kindIndex: number, maxEvents: number): Step =>
  async ({ outbox }, model) => {
    const kind = KINDS[kindIndex] ?? 'request';
    const claimed = await claimAll(outbox, { kind, maxEvents });
    const expected = model.claimable(kind).slice(0, maxEvents);
    assert.deepEqual(
      claimed.map((each) => each.eventId),
      expected.map((each) => each.eventId),
    );
    for (const [n, each] of claimed.entries()) {
      const rows = expected[n]?.rows ?? [];
      assert.deepEqual(expand(each.ranges), expand(rangesOf(rows, (row) => row === 'pending')));
      const all = expected[n]?.entry;
      const sent = all === undefined ? [] : rowsOf(all);
      assert.deepEqual(
        each.rows,
        expand(each.ranges).map((row) => sent[row]),
      );
      model.hold(each);
    }
  };

const settleStep =
  (pick: number, fates: readonly Row[], release: boolean): Step =>
  async ({ outbox, clock }, model) => {
    const claimed = [...model.held.values()].at(pick % Math.max(1, model.held.size));
    if (claimed === undefined) return;
    const fate = (n: number): Row => fates[n % fates.length] ?? 'pending';
    const rows = model.events.get(claimed.eventId)?.rows ?? [];
    const held = new Set(model.heldRows(claimed.eventId));
    const buried = rangesOf(rows, (_, n) => held.has(n) && fate(n) === 'dead');
    const outcome = await outbox.settle([
      settlement(claimed, {
        delivered: rangesOf(rows, (_, n) => held.has(n) && fate(n) === 'delivered'),
        dead: buried.length > 0 ? [{ rows: buried, code: 'refused', reason: 'no' }] : [],
        release,
      }),
    ]);
    assert.deepEqual(outcome, ['applied']);
    model.settle(claimed.eventId, fate, clock.now());
    if (release || model.heldRows(claimed.eventId).length === 0) model.endClaim(claimed.eventId);
  };

const staleStep =
  (pick: number): Step =>
  async ({ outbox }, model) => {
    const former = model.stale.at(pick % Math.max(1, model.stale.length));
    if (former === undefined) return;
    assert.deepEqual(await outbox.settle([settlement(former, { delivered: former.ranges })]), ['stale']);
  };

const reviveStep =
  (numbers: readonly number[]): Step =>
  async ({ outbox }, model) => {
    const asked = numbers.map((n) => `e${n}`);
    const revived = await outbox.revive(asked);
    assert.deepEqual(
      revived,
      asked.map((id) => model.revive(id)),
    );
  };

const purgeStep =
  (numbers: readonly number[]): Step =>
  async ({ outbox, clock }, model) => {
    const asked = numbers.map((n) => `e${n}`);
    const purged = await outbox.purge(asked);
    assert.deepEqual(
      purged,
      asked.map((id) => model.purge(id, clock.now())),
    );
  };

const listStep =
  (state: 'waiting' | 'dead', kindIndex: number, limit: number): Step =>
  async ({ outbox }, model) => {
    const kind = KINDS[kindIndex] ?? null;
    const expected = model.listed(state, kind);
    let after: string | null = null;
    for (let from = 0; from === 0 || after !== null; from += limit) {
      const page: RecordPage = await outbox.list({
        state,
        limit,
        ...(kind !== null && { kinds: [kind] }),
        ...(after !== null && { after }),
      });
      const ofPage = expected.slice(from, from + limit);
      assert.deepEqual(
        page.records.map((each) => [each.id, each.pendingRows, each.deadRows]),
        ofPage.map(({ eventId, rows }) => [
          eventId,
          rows.filter((row) => row === 'pending').length,
          rows.filter((row) => row === 'dead').length,
        ]),
      );
      after = page.next;
    }
  };

const pruneStep =
  (agoMs: number): Step =>
  async ({ outbox, clock }, model) => {
    const before = clock.now() - agoMs;
    assert.equal(await outbox.prune(before), model.prune(before));
  };

const reopenStep: Step = async (fixture, model) => {
  await fixture.reopen();
  for (const eventId of [...model.held.keys()]) model.endClaim(eventId);
};

async function compareStats({ outbox }: OutboxFixture, model: Model): Promise<void> {
  const stats: OutboxStats = await outbox.stats();
  const events = [...model.events.values()];
  const summary = (chosen: readonly ModelEvent[]) => ({
    count: chosen.length,
    oldestReceivedAt: chosen.length === 0 ? null : Math.min(...chosen.map((each) => each.receivedAt)),
  });
  for (const kind of KINDS) {
    const expected = summary(events.filter((each) => each.kind === kind && each.rows.includes('pending')));
    assert.deepEqual(stats.waiting[kind] ?? { count: 0, oldestReceivedAt: null }, expected);
  }
  assert.deepEqual(stats.dead, summary(events.filter((each) => each.rows.includes('dead'))));
  const bytesOf = (row: Row) =>
    events.filter((each) => each.rows.includes(row)).reduce((sum, { entry }) => sum + storedBytes(entry), 0);
  assert.deepEqual(stats.bytes, { waiting: bytesOf('pending'), dead: bytesOf('dead'), quarantined: 0 });
}

const fate = fc.constantFrom<Row>('pending', 'delivered', 'delivered', 'dead');
const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.array(fc.nat(12), { maxLength: 4 }), fc.nat(3))
        .map((args) => ({ name: 'put', args, step: putStep(...args) })),
    },
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.nat(1), fc.integer({ min: 1, max: 4 }))
        .map((args) => ({ name: 'claim', args, step: claimStep(...args) })),
    },
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.nat(9), fc.array(fate, { minLength: 1, maxLength: 5 }), fc.boolean())
        .map((args) => ({ name: 'settle', args, step: settleStep(...args) })),
    },
    { weight: 2, arbitrary: fc.tuple(fc.nat(20)).map((args) => ({ name: 'stale', args, step: staleStep(...args) })) },
    { weight: 1, arbitrary: fc.tuple(fc.nat(20)).map((args) => ({ name: 'prune', args, step: pruneStep(...args) })) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.array(fc.nat(12), { maxLength: 4 }))
        .map((args) => ({ name: 'revive', args, step: reviveStep(...args) })),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.array(fc.nat(12), { maxLength: 2 }))
        .map((args) => ({ name: 'purge', args, step: purgeStep(...args) })),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.constantFrom('waiting' as const, 'dead' as const), fc.nat(2), fc.integer({ min: 1, max: 4 }))
        .map((args) => ({ name: 'list', args, step: listStep(...args) })),
    },
    { weight: 1, arbitrary: fc.constant({ name: 'reopen', args: [], step: reopenStep }) },
  ),
  { maxLength: 60, size: 'max' },
);

export function modelContract(name: string, open: OpenFixture): void {
  describe(`outbox model: ${name}`, () => {
    it('behaves as three maps do, over any history', async () => {
      const property = fc.asyncProperty(steps, async (history) => {
        const fixture = await open();
        try {
          const model = new Model();
          for (const { step } of history) {
            await step(fixture, model);
            await compareStats(fixture, model);
          }
        } finally {
          await fixture.cleanup();
        }
      });
      await fc.assert(property, { numRuns: name === 'PostgreSQL' ? 10 : 25 });
    });
  });
}
