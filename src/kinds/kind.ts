import type { JsonObject } from '../json.ts';
import type { EventMeta, RowRange } from '../outbox/port.ts';
import type { SizedRow } from '../sentinel/row.ts';
import type { TableSchema } from '../sentinel/table.ts';

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

/** The rows that an event will become. Nothing is held but the event: each row is made when it is asked for. */
export interface RowPlan {
  /** At least 1. */
  readonly rowCount: number;
  /** The size of all rows as JSON, without separators, in bytes; exact up to `limitBytes`, above which counting stops. */
  measure(limitBytes: number): number;
  /** The rows of one range, in order. */
  rows(range: RowRange): Iterable<SizedRow>;
}

/** One of the feeds that Apono can send. kinds/registry.ts lists them. */
export interface WebhookKind {
  /** As it stands in answers, logs, metrics and the outbox. Never changes once released. */
  readonly name: string;
  readonly table: TableSchema;
  /** The variable that names its stream in the data collection rule, and the default. */
  readonly streamVariable: string;
  readonly defaultStream: string;
  /** Null when `value` is of this kind, else what speaks against it. Looks at content only, never guesses. */
  mismatch(value: JsonObject): string | null;
  /** What the kind's JSON Schema says of it; empty when it is valid. `plain` is as `JSON.parse` makes it. */
  validate(plain: unknown): readonly Problem[];
  /** Call only with a valid event. */
  plan(event: DecodedEvent): RowPlan;
}
