import type { EventAction } from '../apono/event.ts';
import type { EventMeta } from '../ground/event.ts';
import type { JsonObject, JsonValue } from '../ground/json.ts';
import type { Row } from '../sentinel/row.ts';
import type { TableSchema } from '../sentinel/table.ts';
import type { BodyTemplate } from './body-template.ts';
import type { InvalidFields, Reading } from './field.ts';

/** A place in the body and what is wrong there. `path` is a JSON Pointer, "" for the body itself. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

/** An event as it was decoded from one webhook, with what the body itself does not say. */
export interface DecodedEvent {
  readonly eventId: string;
  readonly value: JsonObject;
  readonly meta: EventMeta;
}

/**
 * What makes an event one of a kind's, weakest first: an event_type that could also be another's, a few of the fields of
 * `data`, an event_type that no other feed has, a set of fields that no other feed has.
 */
export const evidences = ['possible_type', 'fields', 'own_type', 'own_fields'] as const;

/** Evidence of an event_type, event_time and data in which all of this is so. It is content only. */
export interface Sign {
  readonly evidence: (typeof evidences)[number];
  /** The path of the URL names this kind, so the admin has said that the event is one. */
  readonly onItsPath?: true;
  /** The event_type matches this. */
  readonly type?: RegExp;
  /** The event_type has an action, by the kind's `actionOf`. */
  readonly hasAction?: true;
  /** `data` has a field of each of these lists. */
  readonly has?: readonly (readonly string[])[];
  /** `data` has none of these fields. */
  readonly lacks?: readonly string[];
  /** `data` is an object without any other field. */
  readonly only?: readonly string[];
  /** The texts that a field of `data` may have, in lower case. */
  readonly says?: Readonly<Record<string, readonly string[]>>;
}

/** What the columns of an event are read from: an `EventField` of `data` takes it as its way of reading. */
export interface EventToMap extends DecodedEvent, Reading {
  /** The member `data`; what a template leaves blank in it is null, as if it were straight JSON. */
  readonly data: JsonValue | undefined;
  readonly eventType: string;
  /** The value of the column event_time. */
  readonly eventTime: string | null;
}

export interface EventColumns {
  /** Columns that are the same in every row, beside those that all tables share. A column that nothing gives is null. */
  readonly shared: Row;
  /**
   * The own columns of each row, the same ones in all; `invalid` takes what could not be read of them. Missing: one row
   * that has none.
   */
  readonly rows?: readonly ((invalid: InvalidFields) => Row)[];
  /** Names of columns that the body itself shows to be cut short. */
  readonly incomplete?: readonly string[];
}

/** One of the feeds that Apono can send. kinds/registry.ts lists them. */
export interface WebhookKind {
  /** As it stands in answers, logs, metrics, the outbox and the path `/apono/webhook/<name>`. Never changes once released. */
  readonly name: string;
  /** In a sentence: "Stream of <description>". */
  readonly description: string;
  readonly table: TableSchema;
  /** The variable that names its stream in the data collection rule, and the default. */
  readonly streamVariable: `LOGS_INGESTION_STREAM${string}`;
  readonly defaultStream: string;
  /** JSON Schema of its events; of the rows of Apono's recipe, if they are of this kind. */
  readonly schema: object;
  readonly recipeRowSchema?: object;
  /** Names of the documented fields of `data`. An event in which they are all blank was made by a template of another. */
  readonly dataFields: readonly string[];
  /** The strongest that an event shows counts. recognize.ts weighs the kinds against each other. */
  readonly signs: readonly Sign[];
  /** What an event without any sign lacks, for who wrote the body template. */
  whatIsMissing(value: JsonObject, onItsPath: boolean): string;
  /** The columns of a valid event. rows.ts makes rows of them. */
  columns(event: EventToMap): EventColumns;
  /** For the metrics; without it every event of the kind is `Other`. */
  readonly actionOf?: (eventType: string) => EventAction;
  readonly bodyTemplate: BodyTemplate;
}

/** The ids of `send-test` begin with this; Apono's own are UUIDs. */
export const TEST_ID_PREFIX = 'apono-sentinel-test-';
