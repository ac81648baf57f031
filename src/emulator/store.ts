import type { Row } from '../sentinel/row.ts';

interface StoredCall {
  readonly stream: string;
  readonly rowCount: number;
  readonly bytes: number;
}

interface StoredStream {
  rows: Row[];
  /** The answer to `rows()`, made when it is asked for after a change. */
  snapshot: readonly Row[] | null;
  count: number;
}

/** The rows that arrived, by stream; beyond `maxBytes` of JSON the oldest calls are forgotten. */
export class RowStore {
  readonly #maxBytes: number;
  readonly #streams = new Map<string, StoredStream>();
  readonly #calls: StoredCall[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Makes the stream known. Its rows outlive its declaration. */
  declare(stream: string): void {
    if (!this.#streams.has(stream)) this.#streams.set(stream, { rows: [], snapshot: null, count: 0 });
  }

  /** `bytes`: size of the call as JSON. */
  append(stream: string, rows: readonly Row[], bytes: number): void {
    const stored = this.#stream(stream);
    for (const row of rows) stored.rows.push(row);
    stored.snapshot = null;
    stored.count += rows.length;
    this.#calls.push({ stream, rowCount: rows.length, bytes });
    this.#bytes += bytes;
    this.#forgetOldest();
  }

  rows(stream: string): readonly Row[] {
    const stored = this.#stream(stream);
    stored.snapshot ??= [...stored.rows];
    return stored.snapshot;
  }

  count(stream: string): number {
    return this.#stream(stream).count;
  }

  /** Rows ever stored, by stream. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#streams].map(([name, { count }]) => [name, count]));
  }

  #forgetOldest(): void {
    while (this.#bytes > this.#maxBytes && this.#calls.length > 1) {
      const call = this.#calls.shift();
      if (call === undefined) return;
      this.#stream(call.stream).rows.splice(0, call.rowCount);
      this.#bytes -= call.bytes;
    }
  }

  /** A misspelt stream would look like one without rows, and a test of "nothing arrived" could not fail. */
  #stream(stream: string): StoredStream {
    const stored = this.#streams.get(stream);
    if (stored === undefined) {
      const known = [...this.#streams.keys()].join(', ');
      throw new RangeError(`the stream ${stream} was never declared; declared were: ${known}`);
    }
    return stored;
  }
}
