/** What came of one request to the Logs Ingestion API. Retries are delivery's, not the client's. */
export type UploadResult =
  /** An HTTP answer came. */
  | {
      readonly type: 'answered';
      readonly status: number;
      /**
       * Who answered, as far as it can be told. `unmarked`: nothing in it says that it is Azure's. `page`: a page of
       * HTML, whoever wrote it. `proxy`: the proxy answered CONNECT, so that nothing reached Azure.
       */
      readonly by: 'azure' | 'unmarked' | 'page' | 'proxy';
      /** `host:port` of the proxy on the way, without user and password; null: none is known. */
      readonly proxy: string | null;
      /** From Azure's error body or header. It looks like a code, so it may be logged. */
      readonly code: string | null;
      /** Azure's own words, which may quote a row: for the admin port and the terminal alone. */
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
  /** No token, so nothing was sent. */
  | {
      readonly type: 'no_token';
      /** The sign-in was judged and refused (AADSTS…): only a person can change that. */
      readonly refused: boolean;
      /** Something in between refused the connection to the sign-in or answered in its place, so that nobody was asked. */
      readonly blocked: boolean;
      /** `AADSTS7000222` and the like, where the answer names one. */
      readonly aadsts: string | null;
      /** What happened: hosts, statuses and codes, so it may be logged. */
      readonly reason: string;
      /** The words of Entra or of the identity endpoint: for the admin port and the terminal alone. */
      readonly message: string | null;
    };

export interface UploadOptions {
  /** Ends the request; the result is then `unanswered`, reason `aborted`. */
  readonly signal?: AbortSignal;
}

/** The way to Azure, as delivery and `check --live` know it. Neither method throws for anything Azure or the network does. */
export interface Ingestion {
  /**
   * Sends a JSON array of rows as one request. `[]` proves token, role, rule and stream, and nothing of it is kept.
   */
  upload(stream: string, rows: string, options?: UploadOptions): Promise<UploadResult>;
}
