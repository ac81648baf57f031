/** What intake makes of a body and the outbox stores, so that neither has to know the other. Times are milliseconds since the epoch. */

/** Rows `from` (inclusive) to `to` (exclusive) of one event, counted from 0. Lists of ranges are sorted and disjoint. */
export type RowRange = readonly [from: number, to: number];

/** What the mapper needs to know of a webhook beside its body. */
export interface EventMeta {
  /** When the webhook was received. */
  readonly receivedAt: number;
  readonly bodyForm: 'json' | 'template' | 'recipe';
  /** The X-Apono-Feed header, which lists show. */
  readonly feed: string | null;
}

export interface EventEntry extends Pick<EventMeta, 'receivedAt' | 'feed'> {
  readonly type: 'event';
  /** The identity: the same id is the same event. See apono/event.ts. */
  readonly eventId: string;
  /** Name of the webhook kind, which decides the stream. */
  readonly kind: string;
  /**
   * The rows as they will be sent, at least one: each is the JSON object with the members of `shared` and those of its
   * line of `own`, which is a JSON object too. Neither is empty, and they have no member in common.
   */
  readonly shared: string;
  /** JSON as `JSON.stringify` writes it holds no line break. */
  readonly own: string;
  readonly rowCount: number;
  /** Size of all rows as they will be sent, in bytes of UTF-8. */
  readonly mappedBytes: number;
}

/** An authentic body that could not be understood, kept whole so that it can be read again later. */
export interface QuarantineEntry extends Pick<EventMeta, 'receivedAt' | 'feed'> {
  readonly type: 'quarantine';
  /** Derived from the bytes: the same body is kept once. */
  readonly quarantineId: string;
  /** After decompression, before any repair. */
  readonly body: Uint8Array;
  /** The kind that the path of its URL named; null if it named none. */
  readonly kind: string | null;
  /** The charset that its Content-Type named, so that a replay reads the same text; null for UTF-8 or none. */
  readonly charset: string | null;
  /** Stable code of why, as in docs/errors.md. */
  readonly code: string;
  /** Why, for a person. Never holds a secret; may quote the body, so it is never logged. */
  readonly reason: string;
}

export type OutboxEntry = EventEntry | QuarantineEntry;

/** The JSON of one row. */
export function joinRow(shared: string, own: string): string {
  return `${shared.slice(0, -1)},${own.slice(1)}`;
}
