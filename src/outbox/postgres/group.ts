interface Waiting<Call, Value> {
  readonly call: Call;
  readonly resolve: (value: Value) => void;
  readonly reject: (error: unknown) => void;
}

/** What waits for the next commit: one runs at a time, and all that came meanwhile go together into the next one. */
export class GroupQueue<Call, Value> {
  readonly #run: (calls: readonly Call[]) => Promise<readonly (Value | Error)[]>;
  readonly #bytesOf: (call: Call) => number;
  readonly #waiting: Waiting<Call, Value>[] = [];
  #running = false;

  /** `run` gives one result a call, in their order; an Error is that call's own fault. What it rejects with is everybody's. */
  constructor(
    run: (calls: readonly Call[]) => Promise<readonly (Value | Error)[]>,
    bytesOf: (call: Call) => number = () => 0,
  ) {
    this.#run = run;
    this.#bytesOf = bytesOf;
  }

  add(call: Call): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ call, resolve, reject });
      if (!this.#running) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#running = true;
    // Calls of one turn of the event loop belong together already.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#runGroup(this.#take());
    this.#running = false;
  }

  #take(): Waiting<Call, Value>[] {
    let bytes = 0;
    const end = this.#waiting.findIndex(({ call }, index) => {
      bytes += this.#bytesOf(call);
      return index > 0 && (bytes > MAX_GROUP_BYTES || index >= MAX_GROUP_CALLS);
    });
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }

  async #runGroup(group: readonly Waiting<Call, Value>[]): Promise<void> {
    try {
      const results = await this.#run(group.map(({ call }) => call));
      for (const [index, { resolve, reject }] of group.entries()) {
        const result = results[index] ?? new Error('The group lost a call');
        if (result instanceof Error) reject(result);
        else resolve(result);
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }
}

/** Bodies of one commit, so that its memory and time stay bounded; a single call may be larger. */
const MAX_GROUP_BYTES = 16 * 1024 * 1024;
const MAX_GROUP_CALLS = 500;
