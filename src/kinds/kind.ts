import type { EventAction } from '../apono/event.ts';
import type { EventMeta } from '../ground/event.ts';
import type { JsonObject } from '../ground/json.ts';
import type { TableSchema } from '../sentinel/table.ts';
import type { BodyTemplate } from './body-template.ts';
import type { MappedRows } from './rows.ts';

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

/** Looks at content only. `missing` says what an event of the kind would have, for who wrote the body template. */
export type Recognition = { readonly evidence: (typeof evidences)[number] } | { readonly missing: string };

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
  /** Names of the documented fields of `data`. An event in which they are all blank was made by a template of another. */
  readonly dataFields: readonly string[];
  /** `onItsPath`: the admin has said that it is of this kind. recognize.ts weighs what the kinds say. */
  recognize(value: JsonObject, onItsPath: boolean): Recognition;
  /** What the kind's JSON Schema says of it; empty when it is valid. `plain` is as `JSON.parse` makes it. */
  validate(plain: unknown): readonly Problem[];
  /** The rows of a valid event; null if they have more bytes than one event may have. */
  mapRows(event: DecodedEvent): MappedRows | null;
  /** For the metrics; without it every event of the kind is `Other`. */
  readonly actionOf?: (eventType: string) => EventAction;
  /** What to enter in Apono. */
  readonly bodyTemplate: BodyTemplate;
  /**
   * An event as Apono sends it, whose rows get `is_test`. `random`: what tells it from other tests, letters and digits.
   */
  createTestEvent(nowMs: number, random: string): JsonObject;
}
