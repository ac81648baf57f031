import type { DatabaseSync } from 'node:sqlite';
import { getRow } from './sql.ts';

/** The numbers of new events. They rise; one that was taken back with its transaction is left out. */
export class Seqs {
  #next: number;

  constructor(db: DatabaseSync) {
    this.#next = (getRow<{ last: number | null }>(db.prepare('SELECT max(seq) AS last FROM events'))?.last ?? 0) + 1;
  }

  /** The same until it is used: an identity that is known already needs none. */
  next(): number {
    return this.#next;
  }

  use(seq: number): void {
    this.#next = seq + 1;
  }
}
