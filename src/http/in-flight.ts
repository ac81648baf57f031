/** A request's share of the memory for bodies. */
export interface Reservation {
  /** Makes the share at least `bytes`; false when there is no room, and the share stays as it was. */
  grow(bytes: number): boolean;
  /** Makes the share at most `bytes`. */
  shrink(bytes: number): void;
  /** Gives it back. Doing so twice does nothing. */
  release(): void;
}

export interface InFlightBytes {
  readonly heldBytes: number;
  /** Null when there is no room. */
  reserve(bytes: number): Reservation | null;
}

/** What a request takes however small its body is: pipelined tiny ones are bounded too. */
const minimumBytes = 4_096;

/** Bounds the bodies that are held at one time, from the first read to the answer. */
export function createInFlightBytes(maxBytes: number): InFlightBytes {
  let heldBytes = 0;

  function reserve(bytes: number): Reservation | null {
    let share = 0;
    let released = false;
    const grow = (wanted: number): boolean => {
      const more = Math.max(minimumBytes, wanted) - share;
      if (released || more <= 0) return true;
      if (heldBytes + more > maxBytes) return false;
      share += more;
      heldBytes += more;
      return true;
    };
    const shrink = (wanted: number): void => {
      const less = share - Math.max(minimumBytes, wanted);
      if (released || less <= 0) return;
      share -= less;
      heldBytes -= less;
    };
    const release = (): void => {
      if (!released) heldBytes -= share;
      released = true;
    };
    return grow(bytes) ? { grow, shrink, release } : null;
  }

  return {
    get heldBytes() {
      return heldBytes;
    },
    reserve,
  };
}
