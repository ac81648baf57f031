import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { eventId, quarantineId } from '../../src/apono/event.ts';
import { createLogger } from '../../src/ground/log.ts';
import { understand } from '../../src/intake/understand.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { anyCharacter } from '../support/any-character.ts';
import { textsOf } from '../support/mapped-rows.ts';
import { openTestStore } from '../support/store.ts';
import { anomalyBodies } from './anomaly-bodies.ts';
import { auditBodies, auditData } from './audit-bodies.ts';
import { integrationBodies, integrationData } from './integration-bodies.ts';
import { requestBodies } from './request-bodies.ts';

const documented = Object.values({ ...requestBodies, ...auditBodies, ...anomalyBodies, ...integrationBodies }).filter(
  (text) => text.length < 20_000,
);

/** Events near those that Apono documents, and any JSON. */
function bodies(): fc.Arbitrary<string> {
  const names = [...Object.keys(auditData), ...Object.keys(integrationData)];
  const words = [
    'requester',
    'access_groups',
    'justification',
    'severity',
    'issues_beyond',
    'units_beyond',
    'approvals',
  ];
  const text = fc.constantFrom(
    'Created',
    'RequestFailed',
    'Anomaly',
    'Active',
    '',
    '{"a":1}',
    '[object Object]',
    '1763719200',
  );
  const value = fc.oneof(text, fc.jsonValue(), fc.string({ unit: anyCharacter }));
  const data = fc.oneof(value, fc.dictionary(fc.constantFrom(...names, ...words), value));
  const event = fc.record({ event_type: value, event_time: fc.oneof(value, fc.double()), data });
  const near = fc
    .tuple(
      fc.constantFrom(...documented),
      fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, data),
      fc.option(event, { freq: 1 }),
    )
    .map(([body, over, other]) => nearTo(body, over, other));
  return fc.oneof(
    event.map((one) => JSON.stringify(one)),
    { weight: 6, arbitrary: near },
    fc.array(event).map((list) => JSON.stringify(list)),
    fc.json(),
    fc.string(),
  );
}

/** A documented body with some of its members replaced, and at times in a list with another event. */
function nearTo(body: string, over: unknown, other: object | null): string {
  let parsed: { readonly data?: unknown };
  try {
    parsed = JSON.parse(body);
  } catch {
    return body;
  }
  const merged = Array.isArray(parsed) ? parsed : { ...parsed, data: { ...Object(parsed.data), ...Object(over) } };
  return JSON.stringify(other === null ? merged : [merged, other].flat());
}

test('property: what anybody with the secret sends to any path is rows, the same now and from the outbox, or lies in quarantine, and is the same when sent again', async (t) => {
  const logged: string[] = [];
  const log = createLogger('debug', { write: (line) => void logged.push(line) });
  const { store, receive } = await openTestStore(t, { log });
  const streams = Object.fromEntries(kinds.map(({ name, defaultStream }) => [name, defaultStream]));
  const options = { kinds, streams, escaping: 'auto', log } as const;
  // None most of the time, since most bodies fit into one of the others alone.
  const paths = [null, null, null, null, ...kinds.map(({ name }) => name)];
  let accepted = 0;
  let kept = 0;
  await fc.assert(
    fc.asyncProperty(bodies(), fc.constantFrom(...paths), async (body, kind) => {
      const webhook = { bytes: Buffer.from(body), feed: null, kind };
      const [first, second] = [await receive(webhook), await receive(webhook)];
      if (first.outcome === 'accepted') {
        accepted++;
        for (const { eventId, kind: name, rows } of first.events) {
          if (kind !== null) assert.equal(name, kind);
          const record = await store.show(eventId);
          assert.ok(record !== null && record.kind === name && record.rowCount === rows && rows >= 1);
          const understood = await understand(webhook, record.receivedAt, options);
          assert.ok('events' in understood);
          const made = understood.events.find(({ entry }) => entry.eventId === eventId)?.entry;
          assert.ok(made !== undefined);
          assert.equal(Buffer.from(record.body).toString(), `[${textsOf(made).join(',')}]`);
        }
        assert.ok(second.outcome === 'accepted' && second.events.every(({ duplicate }) => duplicate));
        return;
      }
      kept++;
      assert.ok(first.outcome === 'quarantined', first.outcome);
      assert.deepEqual(second, first);
      const record = await store.show(quarantineId(webhook.bytes, kind));
      assert.ok(record !== null && record.kind === kind && Buffer.from(record.body).equals(webhook.bytes));
    }),
    { numRuns: 300 },
  );
  assert.ok(accepted > 15 && kept > 15, `${accepted} accepted, ${kept} kept`);
  assert.deepEqual(
    logged.filter((line) => line.includes('mapping failed')),
    [],
  );
});

test('property: every object with event_type, event_time and data becomes rows on the path of anomalies', async (t) => {
  const { receive } = await openTestStore(t, { streams: { anomaly: 'Custom-AponoAnomalies_CL' } });
  const type = fc.string({ minLength: 1, maxLength: 1024 }).filter((text) => text.trim() !== '' && text.isWellFormed());
  await fc.assert(
    fc.asyncProperty(type, fc.jsonValue(), fc.jsonValue(), async (event_type, event_time, data) => {
      const bytes = Buffer.from(JSON.stringify({ event_type, event_time, data }));
      const received = await receive({ bytes, feed: null, kind: 'anomaly' });
      assert.equal(received.outcome, 'accepted', JSON.stringify(received));
    }),
    { numRuns: 100 },
  );
});

test('a body that came to the URL of another kind is replayed as what it is, and one that says nothing stays', async (t) => {
  const { store, receive } = await openTestStore(t);
  const send = (body: object) => receive({ bytes: Buffer.from(JSON.stringify(body)), feed: null, kind: 'audit' });
  const requested = {
    event_type: 'AccessRequestGranted',
    event_time: 1_790_000_000,
    data: { requester: { id: 'u-1' } },
  };
  for (const body of [requested, { event_type: 'Odd', event_time: 1_790_000_000, data: { odd: 1 } }]) {
    const received = await send(body);
    assert.ok(received.outcome === 'quarantined' && received.code === 'kind_mismatch');
  }
  const [first, second] = (await store.list({ state: 'quarantined', limit: 10 })).records;
  const replayed = { event_id: eventId('request', requested), kind: 'request', rows: 1, duplicate: false };
  for (const dryRun of [true, false]) {
    const again = await store.readAgain(first?.id ?? '', dryRun);
    assert.deepEqual(again, { outcome: 'accepted', events: [replayed] });
  }
  const still = await store.readAgain(second?.id ?? '', false);
  assert.ok(still.outcome === 'still_refused' && still.code === 'unknown_kind');
});
