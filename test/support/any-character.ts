import fc from 'fast-check';

const LAST = 0x10ffff;
const SURROGATES = { first: 0xd800, count: 0x800 };

/**
 * Any character of Unicode, for `fc.string`. fast-check's unit `binary` draws the same, but first lists all characters,
 * which takes a second in each process.
 */
export const anyCharacter = fc.integer({ min: 0, max: LAST - SURROGATES.count }).map(
  (place) => String.fromCodePoint(place < SURROGATES.first ? place : place + SURROGATES.count),
  // The inverse lets fc.string also choose the texts that programs stumble over, such as `__proto__`.
  (text) => {
    if (typeof text !== 'string' || !text.isWellFormed() || [...text].length !== 1) throw new Error('no character');
    const point = text.codePointAt(0) ?? 0;
    return point < SURROGATES.first ? point : point - SURROGATES.count;
  },
);
