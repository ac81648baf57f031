/**
 * Puts chunks together in one growing buffer. Keeping the chunks themselves would keep alive what each is a slice of,
 * and a body sent in chunks of one byte would take a hundred times its size.
 */
export class ByteCollector {
  #buffer: Buffer;
  #size = 0;

  readonly #maxBytes: number;

  /** No more than `maxBytes` will be put in, and no larger buffer is made. */
  constructor(expectedBytes: number, maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#buffer = Buffer.allocUnsafe(Math.max(1, expectedBytes));
  }

  get size(): number {
    return this.#size;
  }

  push(chunk: Uint8Array): void {
    const needed = this.#size + chunk.length;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, Math.min(this.#maxBytes, 2 * this.#buffer.length)));
      this.#buffer.copy(larger, 0, 0, this.#size);
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.#size);
    this.#size = needed;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }
}
