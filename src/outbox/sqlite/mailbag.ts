import type { TransferListItem } from 'node:worker_threads';
import type { Request, Requests } from './protocol.ts';

interface Letter {
  readonly request: Request;
  readonly transfer: readonly TransferListItem[];
}

export interface MailbagOptions {
  readonly post: (requests: Requests, transfer: readonly TransferListItem[]) => void;
  /** The request holds what cannot be posted. */
  readonly refuse: (id: number, error: Error) => void;
}

/**
 * Requests of one turn of the event loop, which travel in one message: a message costs more than what most of them do,
 * and puts that arrive together share a commit.
 */
export class Mailbag {
  readonly #options: MailbagOptions;
  #letters: Letter[] = [];

  constructor(options: MailbagOptions) {
    this.#options = options;
  }

  add(request: Request, transfer: readonly TransferListItem[]): void {
    // A microtask would run after each request of the edge, with nothing to share a message with.
    if (this.#letters.length === 0) setImmediate(() => this.#empty());
    this.#letters.push({ request, transfer });
  }

  /** Throws away what was not posted yet. */
  clear(): void {
    this.#letters = [];
  }

  #empty(): void {
    const letters = this.#letters;
    this.#letters = [];
    if (letters.length === 0) return;
    try {
      this.#post(letters);
    } catch {
      // One of them is at fault; the others go by themselves.
      for (const letter of letters) this.#postAlone(letter);
    }
  }

  #post(letters: readonly Letter[]): void {
    this.#options.post(
      letters.map(({ request }) => request),
      letters.flatMap(({ transfer }) => transfer),
    );
  }

  #postAlone(letter: Letter): void {
    try {
      this.#post([letter]);
    } catch (error) {
      this.#options.refuse(letter.request.id, error instanceof Error ? error : new Error(String(error)));
    }
  }
}
