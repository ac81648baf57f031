import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../../src/ground/json.ts';
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
const names = ['event_type', 'event_id', 'row_id', 'session_id', 'command', 'body_form', 'feed'];

const table: TableSchema = {
  name: 'AponoSessions_CL',
  description: 'Commands of a session.',
  columns: [
    ...Object.entries(types).map(([name, type]) => ({ name, type, description: name })),
    ...names.map((name) => ({ name, type: 'string' as const, description: name })),
  ],
};

/** A feed that Apono does not have, as CONTRIBUTING.md says that one is to be written: all of it is this object. */
const sessionKind: WebhookKind = {
  name: 'session',
  description: 'session events',
  table,
  streamVariable: 'LOGS_INGESTION_STREAM_SESSION',
  defaultStream: `Custom-${table.name}`,
  dataFields: ['id', 'commands'],
  schema: {
    type: 'object',
    properties: { data: { type: 'object', properties: { commands: { type: 'array', items: { type: 'string' } } } } },
  },
  signs: [{ evidence: 'own_fields', has: [['commands']] }],
  whatIsMissing: () => 'it has no data.commands',
  columns(event) {
    const data = new EventField(objectAt(event.data), event);
    const commands = data.at('commands').elements() ?? [];
    return {
      shared: { session_id: data.at('id').text(), is_test: false },
      rows: commands.map((command) => (invalid) => ({ command: command.within(invalid).text() })),
    };
  },
  bodyTemplate: {
    webhook: 'Session webhook',
    path: '/apono/webhook/session',
    triggers: [],
    plain: { text: () => '{}', notes: [] },
    each: null,
  },
  createTestEvent: (nowMs): JsonObject => ({ event_type: 'x', event_time: nowMs / 1000, data: { commands: ['test'] } }),
};

const event = (commands: unknown) =>
  JSON.stringify({ event_type: 'SessionEnded', event_time: 1, data: { id: 's', commands } });

test('a kind is one object: with it in the list, its events go the whole way, by content and by path', async (t) => {
  const all = [...kinds, sessionKind];
  const fixture = await startDelivery(t, {
    kinds: all,
    streams: Object.fromEntries(all.map(({ name, defaultStream }) => [name, defaultStream])),
    emulator: { streams: { ...allStreams, [sessionKind.defaultStream]: table.columns } },
  });
  await withEdge({ kinds: all.map(({ name }) => name), receive: fixture.receive }, async ({ port }) => {
    const post = (path: string, body: string) => send(port, { path, headers: bearer, body });
    const byContent = await post('/apono/webhook', event(['ls', 'rm -rf "x"\n']));
    assert.deepEqual([byContent.status, byContent.json['kind'], byContent.json['rows']], [200, 'session', 2]);
    const byPath = await post('/apono/webhook/session', event(['ls', 'rm -rf "x"\n']));
    assert.equal(byPath.json['duplicate'], true);
    const invalid = await post('/apono/webhook/session', event(['ls', 7]));
    assert.deepEqual([invalid.status, invalid.json['code']], [422, 'schema_mismatch']);
    const other = await post('/apono/webhook/session', integrationBodies['json'] ?? '');
    assert.deepEqual([other.status, other.json['code']], [422, 'kind_mismatch']);
    const unknown = await post('/apono/webhook', JSON.stringify({ event_type: 'x', event_time: 1, data: { a: 1 } }));
    assert.match(JSON.stringify(unknown.json['errors']), /no event of kind session: it has no data\.commands/);
    assert.equal((await post('/apono/webhook', integrationBodies['json'] ?? '')).json['kind'], 'integration');
  });
  await advanceUntil(fixture, 1_000, () => fixture.rows(sessionKind.defaultStream).length === 2);
  assert.deepEqual(
    fixture.rows(sessionKind.defaultStream).map((row) => [row['session_id'], row['command'], row['event_time']]),
    [
      ['s', 'ls', '1970-01-01T00:00:01.000000Z'],
      ['s', 'rm -rf "x"\n', '1970-01-01T00:00:01.000000Z'],
    ],
  );
});
