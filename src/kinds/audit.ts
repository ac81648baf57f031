import eventSchema from '../../schemas/apono/audit-event.schema.json' with { type: 'json' };
import requestSchema from '../../schemas/apono/request-event.schema.json' with { type: 'json' };
import table from '../../schemas/tables/AponoAuditLogs_CL.json' with { type: 'json' };
import { canonicalJson } from '../apono/event.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../ground/json.ts';
import type { TableSchema } from '../sentinel/table.ts';
import { type BodyTemplate, EACH_NOTE, fields, Raw, render, type Tree } from './body-template.ts';
import { eventColumns, isTemplate, missingMembers, TEST_ID_PREFIX } from './event-columns.ts';
import { EventField, InvalidFields } from './event-field.ts';
import { objectAt, parseEmbedded } from './fields.ts';
import type { DecodedEvent, Recognition, WebhookKind } from './kind.ts';
import { type MappedRows, rowMapper } from './rows.ts';
import { compileSchema } from './validator.ts';

const auditTable = table as TableSchema;
const writeRows = rowMapper(auditTable);

const TEXTS = ['action', 'actor_id', 'actor_name', 'actor_type', 'source', 'target_id', 'target_type', 'target_name'];
const OBJECTS = ['metadata', 'current_target_object', 'previous_target_object'] as const;

/** The audit log webhook: somebody changed something in Apono. One row. */
export const auditKind = {
  name: 'audit',
  description: 'audit log events',
  table: auditTable,
  streamVariable: 'LOGS_INGESTION_STREAM_AUDIT',
  defaultStream: `Custom-${auditTable.name}`,
  dataFields: ['timestamp', ...TEXTS, ...OBJECTS],
  recognize,
  validate: compileSchema(eventSchema, [requestSchema]),
  mapRows,
  bodyTemplate: bodyTemplate(),
  createTestEvent,
} satisfies WebhookKind;

/** No other feed has action, actor and target in these words. On its own path one of them is enough. */
function recognize(value: JsonObject, onItsPath: boolean): Recognition {
  const members = missingMembers(value);
  if (members !== null) return { missing: members };
  const data = objectAt(value['data']);
  const has = (name: string) => Object.hasOwn(data, name);
  const actor = ['actor_id', 'actor_name', 'actor_type'].some(has);
  const target = ['target_id', 'target_type', 'target_name', ...OBJECTS.slice(1)].some(has);
  if (has('action') && actor && target) return { evidence: 'own_fields' };
  if (has('action') && (actor || target)) return { evidence: 'fields' };
  if (onItsPath && (has('action') || actor || target)) return { evidence: 'fields' };
  return { missing: has('action') ? 'it has no data.actor_id and no data.target_type' : 'it has no data.action' };
}

function mapRows(event: DecodedEvent): MappedRows | null {
  const template = isTemplate(event.meta);
  const data = objectAt(event.value['data']);
  const invalid = new InvalidFields();
  const fields = EventField.root(data, { isTemplate: template, invalid });
  const texts = Object.fromEntries(TEXTS.map((name) => [name, fields.at(name).text()]));
  const [metadata, current, previous] = OBJECTS.map((name) => readObject(data[name], template));
  return writeRows({
    eventId: event.eventId,
    shared: {
      ...eventColumns(event),
      timestamp: fields.at('timestamp').time(),
      ...texts,
      metadata: metadata?.value ?? null,
      current_target_object: current?.value ?? null,
      previous_target_object: previous?.value ?? null,
      changed_fields: changedFields(current?.value, previous?.value),
      metadata_text: metadata?.text ?? null,
      current_target_object_text: current?.text ?? null,
      previous_target_object_text: previous?.text ?? null,
      is_test: texts['target_id']?.startsWith(TEST_ID_PREFIX) ?? false,
    },
    units: [null],
    unitColumns: () => ({}),
    invalid,
    incomplete: [],
  });
}

interface ReadObject {
  readonly value: JsonValue;
  /** What came in its place, where that is not JSON: Apono's own template prints "[object Object]". */
  readonly text: string | null;
}

function readObject(given: JsonValue | undefined, template: boolean): ReadObject {
  if (typeof given === 'string') {
    const value = parseEmbedded(given);
    if (value !== null) return { value, text: null };
    return { value: null, text: given === '' || given === 'null' ? null : given };
  }
  // `{{#each}}` over nothing leaves an empty object.
  if (template && isJsonObject(given) && Object.keys(given).length === 0) return { value: null, text: null };
  return { value: given ?? null, text: null };
}

/** The sorted names of the top-level fields that differ. Null unless both are objects that arrived complete. */
function changedFields(current: JsonValue | undefined, previous: JsonValue | undefined): readonly string[] | null {
  if (!isJsonObject(current) || !isJsonObject(previous) || lost(current) || lost(previous)) return null;
  const names = [...new Set([...Object.keys(current), ...Object.keys(previous)])].sort();
  // A missing field is not the same as null: it was added or removed.
  return names.filter((name) => textOf(current, name) !== textOf(previous, name));
}

function textOf(object: JsonObject, name: string): string | null {
  return Object.hasOwn(object, name) ? canonicalJson(object[name] ?? null) : null;
}

/**
 * Whether a template printed objects in it as JavaScript does, `[object Object]`: then nobody knows whether they
 * differ.
 */
function lost(object: JsonObject): boolean {
  return Object.values(object).some((value) => typeof value === 'string' && /\[object \w+\]/.test(value));
}

function bodyTemplate(): BodyTemplate {
  const body = (object: (name: string) => Tree): string => {
    // Names that somebody typed stand first, for the reason that the template of requests gives.
    const tree = {
      data: {
        ...fields('data', ['target_name', 'actor_name', 'timestamp', ...TEXTS]),
        ...Object.fromEntries(OBJECTS.map((name) => [name, object(`data.${name}`)])),
      },
      event_type: '{{event_type}}',
      event_time: '{{event_time}}',
    };
    return `${render(tree, '')}\n`;
  };
  const members = (path: string): Raw =>
    new Raw(`{ {{#each ${path}}}"{{@key}}": "{{this}}"{{#unless @last}}, {{/unless}}{{/each}} }`);
  return {
    webhook: 'Audit Log webhook, HTTP',
    path: '/apono/webhook/audit',
    triggers: [],
    plain: {
      text: () => body((path) => `{{${path}}}`),
      notes: [
        'This template needs no helpers. Where Apono prints metadata and the target objects as JSON, they arrive as JSON; ' +
          'where it prints "[object Object]", the columns metadata_text, current_target_object_text and ' +
          'previous_target_object_text say so, and what changed is not known.',
      ],
    },
    each: {
      text: () => body(members),
      notes: [
        'This template carries the fields of metadata and of the target objects whose values are text or numbers; values ' +
          'that are objects again print as "[object Object]", and then changed_fields stays empty.',
        EACH_NOTE,
      ],
    },
  };
}

function createTestEvent(nowMs: number, random: string): JsonObject {
  return {
    event_type: 'AuditLogTest',
    event_time: nowMs / 1000,
    data: {
      timestamp: nowMs / 1000,
      action: 'test',
      actor_id: 'apono-sentinel-test@example.com',
      actor_name: 'Apono Sentinel test',
      actor_type: 'test',
      source: 'API',
      target_id: `${TEST_ID_PREFIX}${random}`,
      target_type: 'test',
      target_name: 'Sent by the send-test command to see whether events arrive.',
      metadata: { test: true },
      current_target_object: { name: 'test', active: true },
      previous_target_object: { name: 'test', active: false },
    },
  };
}
