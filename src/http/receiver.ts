import type { Problem } from '../kinds/kind.ts';

/** One authentic body, whole, and inflated unless it is refused, as the edge hands it on. */
export interface ReceivedBody {
  readonly bytes: Uint8Array;
  /** The X-Apono-Feed header, see feed.ts. */
  readonly feed: string | null;
  /** Of the path `/apono/webhook/<kind>`; null: the body itself says of which kind it is. */
  readonly kind: string | null;
  /** The edge refuses the body, and it is to be kept in quarantine with this code and reason instead of being read. */
  readonly refusal?: { readonly code: string; readonly detail: string };
  /** That its Content-Type names; null or missing: UTF-8 or none. */
  readonly charset?: string | null;
}

export interface AcceptedEvent {
  readonly eventId: string;
  readonly kind: string;
  /** What happened, one of a few fixed words whatever Apono's spelling (apono/event-action.ts). */
  readonly action: string;
  readonly rows: number;
  /** Whether any of its fields could not be read. */
  readonly hasInvalidFields: boolean;
  readonly duplicate: boolean;
  /** Milliseconds since the epoch. */
  readonly firstStoredAt: number;
}

/** What the way from body to outbox made of one authentic body; the route has one exhaustive switch over it. */
export type Received =
  /** 200. Committed and synced. `batch`: the body was an array of several. */
  | {
      readonly outcome: 'accepted';
      readonly events: readonly AcceptedEvent[];
      readonly batch: boolean;
      /** The text of the body looks as if a template had escaped it, and was stored as it came. */
      readonly looksEscaped?: boolean;
    }
  /** 400, kept in quarantine. */
  | { readonly outcome: 'not_json'; readonly code: string; readonly detail: string }
  /** 422, kept in quarantine. */
  | {
      readonly outcome: 'not_understood';
      readonly code: string;
      readonly detail: string;
      readonly errors: readonly Problem[];
    }
  /** 503 with Retry-After: OUTBOX_MAX_BYTES or the disk is reached. Nothing was stored. */
  | { readonly outcome: 'full' }
  /** 503 with Retry-After: the outbox cannot commit now. Nothing was stored. */
  | { readonly outcome: 'unavailable' };

/**
 * From the bytes of a body to the outbox. Called only for a caller with the secret. Resolves when what it says is
 * durable; rejects only on a defect, which is answered 500.
 */
export type Receive = (body: ReceivedBody) => Promise<Received>;
