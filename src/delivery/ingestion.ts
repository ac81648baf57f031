/** What came of one request to the Logs Ingestion API. Retries are delivery's, not the client's. */
export type UploadResult =
  /** An HTTP answer came. `code` and `message` are those of Azure's error body where it has one. */
  | {
      readonly type: 'answered';
      readonly status: number;
      readonly code: string | null;
      readonly message: string | null;
      /** The Retry-After header as it came. */
      readonly retryAfter: string | null;
      readonly clientRequestId: string;
    }
  /** No whole answer came: connection, DNS or TLS failure, or the time limit. */
  | {
      readonly type: 'unanswered';
      readonly reason: 'network' | 'timeout' | 'aborted';
      readonly message: string;
      readonly clientRequestId: string;
    }
  /** No token, so nothing was sent. `refused`: Entra said no (AADSTS…), and only a person can change that. */
  | {
      readonly type: 'no_token';
      readonly refused: boolean;
      /** `AADSTS7000222` and the like, where the message names one. */
      readonly aadsts: string | null;
      readonly message: string;
    };

export interface UploadOptions {
  /** Ends the request; the result is then `unanswered`, reason `aborted`. */
  readonly signal?: AbortSignal;
}

/** The way to Azure, as delivery and `check --live` know it. Neither method throws for anything Azure or the network does. */
export interface Ingestion {
  /**
   * Sends the rows, each the JSON of an object, as one request. `rows` may be empty: `[]` is posted, which proves token,
   * role, rule and stream.
   */
  upload(stream: string, rows: readonly string[], options?: UploadOptions): Promise<UploadResult>;
}
