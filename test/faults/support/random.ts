import process from 'node:process';

export interface SeededRandom {
  /** To be printed: FAULTS_SEED=… plays the same choices again, as far as the timing of processes lets it. */
  readonly seed: number;
  /** [0, 1). */
  next(): number;
  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number;
}

/** Mulberry32: small, and the same on every machine. */
export function seededRandom(seed = Number(process.env['FAULTS_SEED'] ?? Date.now() % 2 ** 31)): SeededRandom {
  let state = seed | 0;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { seed, next, between: (from, to) => from + Math.floor(next() * (to - from + 1)) };
}

/** LONG=1: the size that issue and documentation name, minutes instead of seconds. */
export const isLong = process.env['LONG'] === '1';
