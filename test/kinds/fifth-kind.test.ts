import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventField, objectAt } from '../../src/kinds/field.ts';
import type { WebhookKind } from '../../src/kinds/kind.ts';
import { kinds } from '../../src/kinds/registry.ts';
import type { TableSchema } from '../../src/sentinel/table.ts';
import { advanceUntil, startDelivery } from '../delivery/harness.ts';
import { bearer, send, withEdge } from '../http/edge.ts';
import { allStreams } from '../support/emulator.ts';
import { integrationBodies } from './integration-bodies.ts';

const types = {
  TimeGenerated: 'datetime',
  event_time: 'datetime',
  received_at: 'datetime',
  truncated_fields: 'dynamic',
  invalid_fields: 'dynamic',
  is_test: 'boolean',
} as const;
const names = ['event_type', 'event_id', 'row_id', 'probe_id', 'step', 'body_form', 'feed'];

const table: TableSchema = {
  name: 'AponoProbes_CL',
  description: 'Commands of a probe.',
  columns: [
    ...Object.entries(types).map(([name, type]) => ({ name, type, description: name })),
    ...names.map((name) => ({ name, type: 'string' as const, description: name })),
  ],
};

/** A feed that Apono does not have, in the form of every kind: all of it is this object. */
const probeKind: WebhookKind = {
  name: 'probe',
  description: 'probe events',
  table,
  streamVariable: 'LOGS_INGESTION_STREAM_PROBE',
  defaultStream: `Custom-${table.name}`,
  dataFields: ['id', 'steps'],
  schema: {
    type: 'object',
    properties: { data: { type: 'object', properties: { steps: { type: 'array', items: { type: 'string' } } } } },
  },
  signs: [{ evidence: 'own_fields', has: [['steps']] }],
  whatIsMissing: () => 'it has no data.steps',
  columns(event) {
    const data = new EventField(objectAt(event.data), event);
    const steps = data.at('steps').elements() ?? [];
    return {
      shared: { probe_id: data.at('id').text(), is_test: false },
      rows: steps.map((step) => (invalid) => ({ step: step.within(invalid).text() })),
    };
  },
  bodyTemplate: { webhook: 'Probe webhook', path: '/apono/webhook/probe', notes: [] },
};

const event = (steps: unknown) => JSON.stringify({ event_type: 'ProbeEnded', event_time: 1, data: { id: 's', steps } });

test('a kind is one object: with it in the list, its events go the whole way, by content and by path', async (t) => {
  const all = [...kinds, probeKind];
  const fixture = await startDelivery(t, {
    kinds: all,
    streams: Object.fromEntries(all.map(({ name, defaultStream }) => [name, defaultStream])),
    emulator: { streams: { ...allStreams, [probeKind.defaultStream]: table.columns } },
  });
  await withEdge({ kinds: all.map(({ name }) => name), receive: fixture.receive }, async ({ port }) => {
    const post = (path: string, body: string) => send(port, { path, headers: bearer, body });
    const byContent = await post('/apono/webhook', event(['ls', 'rm -rf "x"\n']));
    assert.deepEqual([byContent.status, byContent.json['kind'], byContent.json['rows']], [200, 'probe', 2]);
    const byPath = await post('/apono/webhook/probe', event(['ls', 'rm -rf "x"\n']));
    assert.equal(byPath.json['duplicate'], true);
    const invalid = await post('/apono/webhook/probe', event(['ls', 7]));
    assert.deepEqual([invalid.status, invalid.json['code']], [422, 'schema_mismatch']);
    const other = await post('/apono/webhook/probe', integrationBodies['json'] ?? '');
    assert.deepEqual([other.status, other.json['code']], [422, 'kind_mismatch']);
    const unknown = await post('/apono/webhook', JSON.stringify({ event_type: 'x', event_time: 1, data: { a: 1 } }));
    assert.match(JSON.stringify(unknown.json['errors']), /no event of kind probe: it has no data\.steps/);
    assert.equal((await post('/apono/webhook', integrationBodies['json'] ?? '')).json['kind'], 'integration');
  });
  await advanceUntil(fixture, 1_000, () => fixture.rows(probeKind.defaultStream).length === 2);
  assert.deepEqual(
    fixture.rows(probeKind.defaultStream).map((row) => [row['probe_id'], row['step'], row['event_time']]),
    [
      ['s', 'ls', '1970-01-01T00:00:01.000000Z'],
      ['s', 'rm -rf "x"\n', '1970-01-01T00:00:01.000000Z'],
    ],
  );
});
