import schema from '../../schemas/apono/audit-event.schema.json' with { type: 'json' };
import table from '../../schemas/tables/AponoAuditLogs_CL.json' with { type: 'json' };
import { canonicalJson } from '../apono/event.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../ground/json.ts';
import type { TableSchema } from '../sentinel/table.ts';
import { EventField, objectAt, parseEmbedded } from './field.ts';
import { type EventColumns, type EventToMap, TEST_ID_PREFIX, type WebhookKind } from './kind.ts';

const TEXTS = ['action', 'actor_id', 'actor_name', 'actor_type', 'source', 'target_id', 'target_type', 'target_name'];
const OBJECTS = ['metadata', 'current_target_object', 'previous_target_object'];

const ACTOR = ['actor_id', 'actor_name', 'actor_type'];
const TARGET = ['target_id', 'target_type', 'target_name', 'current_target_object', 'previous_target_object'];

/** The audit log webhook: somebody changed something in Apono. One row. */
export const auditKind = {
  name: 'audit',
  description: 'audit log events',
  table: table as TableSchema,
  streamVariable: 'LOGS_INGESTION_STREAM_AUDIT',
  defaultStream: `Custom-${table.name}`,
  schema,
  dataFields: Object.keys(schema.properties.data.properties),
  // No other feed has action, actor and target in these words. Two of the three will do, and on its own path one.
  signs: [
    { evidence: 'own_fields', has: [['action'], ACTOR, TARGET] },
    { evidence: 'fields', has: [['action'], [...ACTOR, ...TARGET]] },
    { evidence: 'fields', has: [ACTOR, TARGET] },
    { evidence: 'fields', onItsPath: true, has: [['action', ...ACTOR, ...TARGET]] },
  ],
  whatIsMissing: ({ data }) =>
    Object.hasOwn(objectAt(data), 'action')
      ? 'it has no data.actor_id and no data.target_type'
      : 'it has no data.action',
  columns,
  bodyTemplate: {
    webhook: 'Audit Log webhook',
    path: '/apono/webhook/audit',
    notes: [
      'This template carries everything. Where Apono prints metadata and the target objects as JSON, they arrive as JSON; ' +
        'where it prints "[object Object]", the columns metadata_text, current_target_object_text and ' +
        'previous_target_object_text say so, and what changed is not known.',
    ],
    eachNotes: [
      'This template carries the fields of metadata and of the target objects whose values are text or numbers; values ' +
        'that are objects again print as "[object Object]", and then changed_fields stays empty.',
    ],
  },
} satisfies WebhookKind;

function columns(event: EventToMap): EventColumns {
  // With its blanks, which are values of the objects like any other.
  const data = objectAt(event.value['data']);
  const place = new EventField(data, event);
  const texts = Object.fromEntries(TEXTS.map((name) => [name, place.at(name).text()]));
  const objects = Object.fromEntries(OBJECTS.map((name) => readObject(name, data[name], event.isTemplate)));
  return {
    shared: {
      timestamp: place.at('timestamp').time(),
      ...texts,
      ...objects,
      changed_fields: changedFields(objects['current_target_object'], objects['previous_target_object']),
      is_test: texts['target_id']?.startsWith(TEST_ID_PREFIX) ?? false,
    },
  };
}

/** The object in its own column, or else the text that came in its place, as Apono's own template prints "[object Object]". */
function readObject(name: string, given: JsonValue | undefined, isTemplate: boolean): readonly [string, JsonValue] {
  if (typeof given !== 'string') {
    // `{{#each}}` over nothing leaves an empty object.
    const isBlank = isTemplate && isJsonObject(given) && Object.keys(given).length === 0;
    return [name, isBlank ? null : (given ?? null)];
  }
  const value = parseEmbedded(given);
  return value !== null || given === '' || given === 'null' ? [name, value] : [`${name}_text`, given];
}

/** The sorted names of the top-level fields that differ. Null unless both are objects that arrived complete. */
function changedFields(current: JsonValue | undefined, previous: JsonValue | undefined): readonly string[] | null {
  if (!isJsonObject(current) || !isJsonObject(previous) || lost(current) || lost(previous)) return null;
  const names = Object.keys({ ...current, ...previous }).sort();
  // A missing field is not the same as null: it was added or removed.
  const textIn = (object: JsonObject, name: string) =>
    Object.hasOwn(object, name) && canonicalJson(object[name] ?? null);
  return names.filter((name) => textIn(current, name) !== textIn(previous, name));
}

/** Whether a template printed objects in it as `[object Object]`: then nobody knows whether they differ. */
function lost(object: JsonObject): boolean {
  return Object.values(object).some((value) => typeof value === 'string' && /\[object \w+\]/.test(value));
}
