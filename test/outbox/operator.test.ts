import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLogger } from '../../src/ground/log.ts';
import type { HeldKind } from '../../src/outbox/operator.ts';
import { createOperator } from '../../src/outbox/operator-local.ts';
import { event } from './samples.ts';
import { openSqliteFixture } from './sqlite-fixture.ts';

function holdOf(kind: string): HeldKind {
  const of = { stream: 'Custom-Apono', code: 'rule_gone', reason: 'gone', fix: 'make it', message: null };
  return { kind, since: 0, clientRequestId: null, ...of };
}

describe('waiting and held', () => {
  it('share what waits between them, whatever the page size, also when a hold ends between two pages', async () => {
    const fixture = await openSqliteFixture();
    try {
      const ids = Array.from({ length: 60 }, (_, index) => `e-${String(index).padStart(2, '0')}`);
      const kindOf = (id: string): string => (Number(id.slice(2)) % 3 === 0 ? 'audit' : 'request');
      for (const id of ids) await fixture.outbox.put([event(id, { kind: kindOf(id) })]);
      let held = ['audit'];
      const { list, stats } = createOperator({
        outbox: { ...fixture.outbox, readAgain: () => assert.fail('a list reads nothing again') },
        log: createLogger('silent', { write: () => undefined }),
        holds: () => held.map(holdOf),
      });
      const all = async (state: 'waiting' | 'held', limit: number, between = () => {}): Promise<string[]> => {
        const seen: string[] = [];
        let after: string | null = null;
        do {
          const page = await list({ state, limit, ...(after !== null && { after }) });
          assert.ok(page.records.length <= limit);
          seen.push(...page.records.map(({ id }) => id));
          after = page.next;
          between();
        } while (after !== null);
        return seen;
      };
      for (const limit of [1, 7, 1_000]) {
        held = ['audit'];
        assert.deepEqual(
          await all('held', limit),
          ids.filter((id) => kindOf(id) === 'audit'),
        );
        assert.deepEqual(
          await all('waiting', limit),
          ids.filter((id) => kindOf(id) !== 'audit'),
        );
      }
      held = ['audit'];
      const requests = ids.filter((id) => kindOf(id) === 'request');
      const seen = await all('waiting', 5, () => {
        held = [];
      });
      assert.deepEqual(
        seen.filter((id) => kindOf(id) === 'request'),
        requests,
        'none is skipped or twice',
      );
      assert.deepEqual(await all('held', 5), []);
      assert.deepEqual(await list({ state: 'held', kind: 'request', limit: 5 }), { records: [], next: null });
      held = ['audit'];
      assert.equal((await list({ state: 'held', kind: 'audit', limit: 1_000 })).records.length, 20);
      assert.deepEqual(await list({ state: 'waiting', kind: 'audit', limit: 5 }), { records: [], next: null });
      const counts = await stats();
      assert.deepEqual([counts.waiting.count, counts.held.count], [40, 20]);
    } finally {
      await fixture.cleanup();
    }
  });
});
