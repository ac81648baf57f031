import { problem } from './problem.ts';

/** A request's share of the memory for bodies. */
export interface Reservation {
  /** Makes the share `bytes`; throws the 503 `too_busy` if there is no room, and the share stays as it was. */
  resize(bytes: number): void;
  /** Gives the share back. Doing so twice does nothing. */
  release(): void;
}

export interface InFlightBytes {
  /** Throws the 503 `too_busy` if there is no room. */
  reserve(bytes: number): Reservation;
}

/** What a request takes however small its body is, so that tiny pipelined ones are bounded too. */
const minimumBytes = 4_096;

/** Bounds the bodies that are held at one time, from the first read to the answer. */
export function createInFlightBytes(maxBytes: number): InFlightBytes {
  let heldBytes = 0;
  return {
    reserve(bytes) {
      let share = 0;
      function resize(wanted: number): void {
        const next = Math.max(minimumBytes, wanted);
        if (next > share && heldBytes - share + next > maxBytes) throw tooBusy();
        heldBytes += next - share;
        share = next;
      }
      function release(): void {
        heldBytes -= share;
        share = 0;
      }
      resize(bytes);
      return { resize, release };
    },
  };
}

/** The memory for bodies, or the connections, are used up. */
export function tooBusy(): Error {
  return problem('too_busy', { retryAfterSeconds: 2 });
}
