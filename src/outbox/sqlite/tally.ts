import type { DatabaseSync } from 'node:sqlite';
import type { RecordState } from '../records.ts';

interface Change {
  readonly state: RecordState;
  /** '' in quarantine. */
  readonly kind: string;
  readonly n: number;
  readonly bytes: number;
}

/** What an event adds to the counts; bytes are those of its body. An event that is waiting and dead counts in both. */
export interface Counted {
  readonly kind: string;
  readonly body_bytes: number;
  readonly pending_rows: number;
  readonly dead_rows: number;
}

/**
 * What a transaction changes of the table `counts`, summed up and written once, before its commit: so the counts are as
 * exact as what they count, and cost the same for one event and for a thousand.
 */
export class Tally {
  readonly #update;
  readonly #insert;
  #changes = new Map<string, Change>();

  constructor(db: DatabaseSync) {
    this.#update = db.prepare('UPDATE counts SET n = n + ?, bytes = bytes + ? WHERE state = ? AND kind = ?');
    this.#insert = db.prepare('INSERT INTO counts (n, bytes, state, kind) VALUES (?, ?, ?, ?)');
  }

  /** For a new transaction. */
  clear(): void {
    this.#changes.clear();
  }

  /** Where `backTo` goes back to, when what was done since is taken back. */
  mark(): ReadonlyMap<string, Change> {
    return new Map(this.#changes);
  }

  backTo(mark: ReadonlyMap<string, Change>): void {
    this.#changes = new Map(mark);
  }

  /** One event more. */
  addEvent(event: Counted): void {
    this.#countEvent(event, 1);
  }

  /** One event less. */
  removeEvent(event: Counted): void {
    this.#countEvent(event, -1);
  }

  addQuarantined(bytes: number): void {
    this.#add('quarantined', '', 1, bytes);
  }

  removeQuarantined(bytes: number): void {
    this.#add('quarantined', '', -1, -bytes);
  }

  write(): void {
    for (const { state, kind, n, bytes } of this.#changes.values()) {
      if (n === 0 && bytes === 0) continue;
      if (this.#update.run(n, bytes, state, kind).changes === 0) this.#insert.run(n, bytes, state, kind);
    }
    this.#changes.clear();
  }

  #countEvent({ kind, body_bytes: bytes, pending_rows: pending, dead_rows: dead }: Counted, n: 1 | -1): void {
    if (pending > 0) this.#add('waiting', kind, n, n * bytes);
    if (dead > 0) this.#add('dead', kind, n, n * bytes);
  }

  #add(state: RecordState, kind: string, n: number, bytes: number): void {
    const key = `${state} ${kind}`;
    const before = this.#changes.get(key);
    this.#changes.set(key, { state, kind, n: n + (before?.n ?? 0), bytes: bytes + (before?.bytes ?? 0) });
  }
}
