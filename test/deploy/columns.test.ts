import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { tableColumnType } from '../../deploy/generate/infrastructure/tables.ts';
import { eventId } from '../../src/apono/event.ts';
import { compareRule } from '../../src/azure/compare-columns.ts';
import { readDataCollectionRule, readLogTable } from '../../src/azure/resource-manager.ts';
import { systemClock } from '../../src/ground/clock.ts';
import { heartbeatDefaultStream, makeHeartbeatRow } from '../../src/heartbeat/row.ts';
import { testEvent } from '../../src/kinds/body-template.ts';
import { kinds, type RegisteredKind } from '../../src/kinds/registry.ts';
import type { OutboxStats } from '../../src/outbox/port.ts';
import { mapToRows } from '../support/mapped-rows.ts';
import { currentSources, deployMain, ofType, only, propertiesOf, repository, types } from './support.ts';

interface ArmColumn {
  readonly name: string;
  readonly type: string;
}

type Row = Readonly<Record<string, unknown>>;

const { streams } = currentSources();
const deployment = deployMain();
const { streamDeclarations } = propertiesOf<{
  readonly streamDeclarations: Readonly<Record<string, { readonly columns: readonly ArmColumn[] }>>;
}>(only(deployment, types.collectionRule));

const declared = (stream: string): readonly ArmColumn[] => streamDeclarations[stream]?.columns ?? [];

/** Of the values that Azure takes for a column of the type; it makes null of any other, without an error. */
const isOfType: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  int: (value) => Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 31,
  long: (value) => Number.isSafeInteger(value),
  boolean: (value) => typeof value === 'boolean',
  datetime: (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z$/.test(value),
  dynamic: () => true,
};

function checkRow(row: Row, stream: string): void {
  const columns = declared(stream);
  assert.deepEqual(Object.keys(row).sort(), columns.map(({ name }) => name).sort());
  for (const { name, type } of columns) {
    const value = row[name];
    assert.ok(value === null || isOfType[type]?.(value), `${stream}: ${name} is ${JSON.stringify(value)}, no ${type}`);
  }
}

function testRows(kind: RegisteredKind): readonly Row[] {
  const value = testEvent(kind.name, Date.UTC(2026, 10, 22), 'x1');
  const meta = { receivedAt: Date.UTC(2026, 10, 22), bodyForm: 'json', feed: 'feed-1' } as const;
  return mapToRows(kind, { eventId: eventId(kind.name, value), value, meta });
}

/** Rows that the golden files of a kind hold: the whole of small events, the first and the last of large ones. */
function goldenRows(kind: RegisteredKind): readonly Row[] {
  const folder = `${repository}test/golden/`;
  const files = readdirSync(folder).filter((file) => file.startsWith(`${kind.name}-`) && file.endsWith('.json'));
  return files.flatMap((file) => {
    const golden = JSON.parse(readFileSync(folder + file, 'utf8')) as readonly Row[] | { first: Row; last: Row };
    return 'first' in golden ? [golden.first, golden.last] : golden;
  });
}

describe('columns, of schemas/ and in the template', () => {
  for (const { table, stream } of streams) {
    it(`are the same in ${table.name}, in its stream and in its schema, types included`, () => {
      const deployed = ofType(deployment, types.table).find(({ name }) => name.endsWith(`/${table.name}`));
      assert.ok(deployed !== undefined);
      const { schema } = propertiesOf<{ schema: { name: string; columns: readonly ArmColumn[] } }>(deployed);
      assert.equal(schema.name, table.name);
      assert.deepEqual(
        declared(stream),
        table.columns.map(({ name, type }) => ({ name, type })),
      );
      assert.deepEqual(
        schema.columns.map(({ name, type }) => ({ name, type })),
        table.columns.map(({ name, type }) => ({ name, type: tableColumnType(type) })),
      );
      // The two spellings of one type, as the service's specification has them.
      assert.equal(schema.columns.find(({ name }) => name === 'TimeGenerated')?.type, 'dateTime');
      assert.equal(declared(stream).find(({ name }) => name === 'TimeGenerated')?.type, 'datetime');
    });

    it(`of ${table.name} are what Azure takes`, () => {
      const allowed = ['string', 'int', 'long', 'real', 'boolean', 'datetime', 'dynamic'];
      const reserved = [
        ...['id', 'BilledSize', 'IsBillable', 'InvalidTimeGenerated', 'TenantId', 'Title', 'Type', 'UniqueId'],
        ...['_ItemId', '_ResourceGroup', '_ResourceId', '_SubscriptionId', '_TimeReceived'],
      ].map((name) => name.toLowerCase());
      assert.ok(declared(stream).length <= 500);
      for (const { name, type } of declared(stream)) {
        assert.match(name, /^[A-Za-z][A-Za-z0-9_]{0,44}$/);
        assert.ok(!reserved.includes(name.toLowerCase()), `${name} is a column of Azure's own`);
        assert.ok(allowed.includes(type), `${name}: ${type}`);
      }
      const names = declared(stream).map(({ name }) => name.toLowerCase());
      assert.equal(new Set(names).size, names.length, 'names differ by more than capitals');
    });

    it(`of ${table.name} are what check --live expects to find`, () => {
      const rule = readDataCollectionRule(only(deployment, types.collectionRule).body);
      const body = ofType(deployment, types.table).find(({ name }) => name.endsWith(`/${table.name}`))?.body;
      const deployed = readLogTable({ ...body, name: table.name });
      assert.ok(rule !== null && deployed !== null);
      assert.deepEqual([...compareRule({ rule, stream, schema: table, table: deployed })], []);
    });
  }

  it('are declared for nothing but what the service sends', () => {
    assert.deepEqual(
      Object.keys(streamDeclarations),
      streams.map(({ stream }) => stream),
    );
  });
});

describe('rows, as the mappers make them', () => {
  for (const kind of kinds) {
    it(`of ${kind.name} have the declared columns, all of them and no other, with values of their types`, () => {
      const rows = [...testRows(kind), ...goldenRows(kind)];
      assert.ok(rows.length > 0);
      for (const row of rows) checkRow(row, kind.defaultStream);
    });
  }

  it('of the heartbeat too, also while the outbox does not answer', async () => {
    const count = { count: 2, oldestReceivedAt: Date.UTC(2026, 10, 22) };
    const stats: OutboxStats = {
      waiting: { request: count },
      dead: count,
      quarantined: count,
      bytes: { waiting: 1, dead: 1, quarantined: 1 },
      usedBytes: 3,
      logBytes: 0,
      maxBytes: 10,
      writable: true,
      problem: null,
    };
    for (const read of [async () => stats, async () => null]) {
      const row = await makeHeartbeatRow({
        version: '1.0.0',
        startedAt: Date.UTC(2026, 10, 22),
        totals: async () => ({ accepted: 1, duplicate: 2, unauthorized: 3, delivered: 4 }),
        stats: read,
        credentialEndsAt: () => null,
        clock: systemClock,
      });
      checkRow(row, heartbeatDefaultStream);
    }
  });

  it('would be found out with a column that is not declared, or a value of another type', () => {
    const [kind] = kinds;
    assert.ok(kind !== undefined);
    const [row] = testRows(kind);
    assert.throws(() => checkRow({ ...row, misspelt: 1 }, kind.defaultStream), assert.AssertionError);
    assert.throws(() => checkRow({ ...row, TimeGenerated: 1763719200 }, kind.defaultStream), assert.AssertionError);
  });
});
