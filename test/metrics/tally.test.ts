import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Counter, Registry } from 'prom-client';
import { createTally } from '../../src/metrics/tally.ts';

const values = ['', 'a', 'b', 'a b', 'constructor', '__proto__'];
const labelSets = [
  { kind: 'a', outcome: 'b' },
  { kind: 'b', outcome: 'b' },
];

test('a tally shows what a counter of prom-client’s shows that counted the same, whenever it is read', async () => {
  const count = fc.record({
    labels: fc.record({ kind: fc.constantFrom(...values), outcome: fc.constantFrom(...values) }),
    amount: fc.option(
      fc.nat(1_000).map((number) => number + 1),
      { nil: undefined },
    ),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 5, arbitrary: count }, fc.constant('read' as const))),
      async (steps) => {
        const [tallied, counted] = [new Registry(), new Registry()];
        const config = { name: 'events_total', help: 'Events.', labelNames: ['kind', 'outcome'] as const };
        const tally = createTally({ ...config, registers: [tallied] }, labelSets);
        const counter = new Counter({ ...config, registers: [counted] });
        for (const labels of labelSets) counter.inc(labels, 0);
        for (const step of [...steps, 'read' as const]) {
          if (step === 'read') {
            assert.equal(await tallied.metrics(), await counted.metrics());
            assert.deepEqual((await tally.get()).values, (await counter.get()).values);
          } else {
            tally.inc(step.labels, step.amount);
            counter.inc(step.labels, step.amount);
          }
        }
      },
    ),
  );
});

test('a tally without labels is one sum', async () => {
  const registry = new Registry();
  const tally = createTally({ name: 'starts_total', help: 'Starts.', registers: [registry] }, [{}]);
  tally.inc({});
  tally.inc({}, 4);
  assert.deepEqual(
    (await tally.get()).values.map(({ value }) => value),
    [5],
  );
  assert.match(await registry.metrics(), /^starts_total 5$/m);
});
