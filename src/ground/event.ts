/** What intake makes of a body and the outbox stores, so that neither has to know the other. */

/** Rows `from` (inclusive) to `to` (exclusive) of one event, counted from 0. Lists of ranges are sorted and disjoint. */
export type RowRange = readonly [from: number, to: number];

/** What travels with an event's body because the mapper needs it and the body does not say it. */
export interface EventMeta {
  /** Milliseconds since the epoch at which the webhook was received. */
  readonly receivedAt: number;
  readonly bodyForm: 'json' | 'template' | 'recipe';
  /** The X-Apono-Feed header. */
  readonly feed: string | null;
}

export interface EventEntry {
  readonly type: 'event';
  /** The identity: the same id is the same event. See apono/identity.ts. */
  readonly eventId: string;
  /** Name of the webhook kind, which decides stream and mapper. */
  readonly kind: string;
  /** The decoded event as JSON text, nothing left out. */
  readonly body: string;
  readonly meta: EventMeta;
  /** How many rows the mapper makes of it, at least 1. */
  readonly rowCount: number;
  /** What a claim of it costs: the size of its rows as JSON, or of its body where that is larger, in bytes. */
  readonly mappedBytes: number;
}

/** An authentic body that could not be understood, kept whole so that it can be read again later. */
export interface QuarantineEntry {
  readonly type: 'quarantine';
  /** Derived from the bytes: the same body is kept once. */
  readonly quarantineId: string;
  /** After decompression, before any repair. */
  readonly body: Uint8Array;
  readonly receivedAt: number;
  readonly feed: string | null;
  /** The kind that the path of its URL named; null: none. */
  readonly kind: string | null;
  /** That its Content-Type named, where it named another than UTF-8, so that a replay reads the same; null or missing: none. */
  readonly charset?: string | null;
  /** Stable code of why, as in docs/errors.md. */
  readonly code: string;
  /** Why, for a person. Never holds a secret; may quote the body, so it is never logged. */
  readonly reason: string;
}

export type OutboxEntry = EventEntry | QuarantineEntry;
