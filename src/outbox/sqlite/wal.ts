import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { SUFFIXES } from './files.ts';

/**
 * Reads the write-ahead log itself (https://www.sqlite.org/fileformat2.html#walformat). SQLite reads it up to the first
 * frame whose checksum is wrong and drops the rest without a word, even when acknowledged transactions stand there.
 * No locks are taken on a log, so that reading it with node:fs loses none (files.ts).
 */

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** SQLite's default, which nothing here changes. */
export const PAGE_BYTES = 4096;
const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES;
/** The last bit says whether checksums read words as big-endian; it is that of the machine that began the log. */
const MAGIC = 0x377f0682;

/** Follows the name of a copy from which a damaged set is read. */
export const MENDED = '.mended';

type Sums = readonly [number, number];

/** What the header and the frames before say about the next frame. */
interface Chain {
  readonly bigEndian: boolean;
  /** Every frame repeats them. Frames with others are left over from before SQLite began the log anew. */
  readonly salts: Buffer;
  /** The checksum so far; null: the header should have it and is damaged. */
  readonly sums: Sums | null;
}

interface Frame {
  readonly page: number;
  /** The pages of the database after a commit; 0 when the transaction goes on. */
  readonly commitPages: number;
  readonly data: Buffer;
  /** The checksum with which the chain goes on; after a lost frame it is the one that the frame has stored. */
  readonly sums: Sums;
  /**
   * `sound`: as it was written. `mended`: one bit had flipped and was set right, or the header in front of it is damaged.
   * `lost`: damaged further, or never complete.
   */
  readonly state: 'sound' | 'mended' | 'lost';
}

/** Whether SQLite would drop committed transactions from the log of this database. */
export function isLogDamaged(file: string): boolean {
  return measure(file).isDamaged;
}

/**
 * Where SQLite cannot read the whole set (its log is damaged, the database is missing beside it, or its end is cut off):
 * makes a copy of the database, as long as it was, with every committed frame that is intact written into it, and returns
 * its path; `removeMended` removes it. A frame that is lost leaves an older version of its page, or an empty one. Null:
 * SQLite can read the files as they are.
 */
export function mendSet(file: string): string | null {
  const { frames, isDamaged, ...log } = measure(file);
  const hasDatabase = existsSync(file);
  const pages = frames === 0 && hasDatabase ? pagesOf(file) : log.pages;
  const isCutOff = hasDatabase && statSync(file).size < pages * PAGE_BYTES;
  if (!isDamaged && !isCutOff && (hasDatabase || frames === 0)) return null;
  const copy = file + MENDED;
  removeMended(file);
  if (hasDatabase) copyFileSync(file, copy, constants.COPYFILE_FICLONE);
  else writeFileSync(copy, '', { mode: 0o600 });
  using opened = new DisposableStack();
  const descriptor = opened.adopt(openSync(copy, 'r+'), closeSync);
  for (const { page, data, state } of readFrames(file).take(frames)) {
    if (state !== 'lost' && page <= pages) writeSync(descriptor, data, 0, PAGE_BYTES, (page - 1) * PAGE_BYTES);
  }
  ftruncateSync(descriptor, pages * PAGE_BYTES);
  return copy;
}

/** As the header of the database has it (https://www.sqlite.org/fileformat2.html#the_database_header). */
function pagesOf(file: string): number {
  using opened = new DisposableStack();
  const header = Buffer.alloc(32);
  readSync(opened.adopt(openSync(file, 'r'), closeSync), header, 0, header.length, 0);
  return header.toString('latin1', 0, 15) === 'SQLite format 3' ? header.readUInt32BE(28) : 0;
}

/** Removes the copy that `mendSet` makes of this database, if there is one. */
export function removeMended(file: string): void {
  for (const suffix of SUFFIXES) rmSync(file + MENDED + suffix, { force: true });
}

/**
 * Counts the frames up to the last one that was committed and the pages of the database then, and says whether SQLite
 * stops before that. A commit counts when its whole transaction can be read, or when another frame was chained to it:
 * SQLite writes that one only after the commit has been synced. Otherwise a lost frame is one that a crash or a failed
 * write left incomplete, which nobody was told to be stored, and the commit after it is too.
 */
function measure(file: string) {
  let frames = 0;
  let pages = 0;
  let count = 0;
  let isWhole = true;
  let firstDamage = Number.POSITIVE_INFINITY;
  let previousCommit = 0;
  for (const { commitPages, state } of readFrames(file)) {
    count++;
    if (state !== 'sound') firstDamage = Math.min(firstDamage, count);
    if (state === 'lost') {
      isWhole = false;
      previousCommit = 0;
      continue;
    }
    if (previousCommit > 0) [frames, pages] = [count - 1, previousCommit];
    if (commitPages > 0 && isWhole) [frames, pages] = [count, commitPages];
    previousCommit = commitPages;
    if (commitPages > 0) isWhole = true;
  }
  return { frames, pages, isDamaged: frames >= firstDamage };
}

function* readFrames(file: string): Generator<Frame> {
  const log = `${file}-wal`;
  if (!existsSync(log)) return;
  using opened = new DisposableStack();
  const descriptor = opened.adopt(openSync(log, 'r'), closeSync);
  /** Null at the end of the log, where a frame may be cut off. */
  const read = (at: number, length: number): Buffer | null => {
    const bytes = Buffer.allocUnsafeSlow(length);
    return readSync(descriptor, bytes, 0, length, at) < length ? null : bytes;
  };
  const start = read(0, HEADER_BYTES + FRAME_HEADER_BYTES);
  let bytes = read(HEADER_BYTES, FRAME_BYTES);
  if (start === null) return;
  let chain = readHeader(start);
  for (let at = HEADER_BYTES + FRAME_BYTES; bytes !== null; at += FRAME_BYTES) {
    const next = read(at, FRAME_BYTES);
    const frame = readFrame(bytes, next, chain);
    yield frame;
    chain = { ...chain, sums: frame.sums };
    bytes = next;
  }
}

function readHeader(start: Buffer): Chain {
  const bigEndian = start.readUInt32BE(0) === MAGIC + 1;
  const sums = sumsAt(start, 24);
  const isSound =
    start.readUInt32BE(0) === MAGIC + Number(bigEndian) && isSame(sum(start.subarray(0, 24), [0, 0], bigEndian), sums);
  if (isSound) return { bigEndian, salts: start.subarray(16, 24), sums };
  // The frames say the same, except for the byte order, which is little-endian on x64 and arm64.
  return { bigEndian: false, salts: start.subarray(HEADER_BYTES + 8, HEADER_BYTES + 16), sums: null };
}

function readFrame(bytes: Buffer, next: Buffer | null, { salts, bigEndian, sums: start }: Chain): Frame {
  const summed = summedPart(bytes);
  const stored = sumsAt(bytes, 16);
  const found = start === null ? stored : sum(summed, start, bigEndian);
  // A bit of the last word can change the checksum as a bit of the stored one does. The next frame tells them apart.
  const isStoredRight = () => next !== null && isSame(sum(summedPart(next), stored, bigEndian), sumsAt(next, 16));
  let state: Frame['state'] = start === null ? 'mended' : 'sound';
  let sums = stored;
  if (!isSame(found, stored)) {
    state = 'mended';
    if (bits(found[0] ^ stored[0]) + bits(found[1] ^ stored[1]) === 1 && !isStoredRight()) sums = found;
    else if (!mendBit(summed, found, stored, bigEndian)) state = 'lost';
  }
  const wrongSaltBits = salts.reduce((count, byte, index) => count + bits(byte ^ bytes.readUInt8(8 + index)), 0);
  if (wrongSaltBits > 0) state = wrongSaltBits === 1 && state === 'sound' ? 'mended' : 'lost';
  const page = summed.readUInt32BE(0);
  if (page === 0) state = 'lost';
  return { page, commitPages: summed.readUInt32BE(4), data: summed.subarray(8), state, sums };
}

/** What the checksum of a frame covers: the first half of its header, and its page. */
function summedPart(bytes: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, 8), bytes.subarray(FRAME_HEADER_BYTES)]);
}

function sum(bytes: Buffer, [first, second]: Sums, bigEndian: boolean): Sums {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += 8) {
    first = (first + words.getInt32(at, !bigEndian) + second) | 0;
    second = (second + words.getInt32(at + 4, !bigEndian) + first) | 0;
  }
  return [first, second];
}

/**
 * A word that is larger by n makes the sums larger by n times two neighbouring Fibonacci numbers, the later the word the
 * smaller, modulo 2^32. So each of the 33,000 bits is tried without summing again, and no other damage looks like one
 * flipped bit: the sums have 64 bits.
 */
function mendBit(bytes: Buffer, found: Sums, expected: Sums, bigEndian: boolean): boolean {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const missing: Sums = [(expected[0] - found[0]) | 0, (expected[1] - found[1]) | 0];
  let [factor, nextFactor] = [0, 1];
  for (let at = bytes.length - 4; at >= 0; at -= 4) {
    const word = words.getInt32(at, !bigEndian);
    for (let bit = 0; bit < 32; bit++) {
      const mask = 1 << bit;
      const change = (word & mask) === 0 ? mask : -mask;
      if (!isSame([Math.imul(factor, change), Math.imul(nextFactor, change)], missing)) continue;
      words.setInt32(at, word ^ mask, !bigEndian);
      return true;
    }
    [factor, nextFactor] = [nextFactor, (factor + nextFactor) | 0];
  }
  return false;
}

function sumsAt(bytes: Buffer, at: number): Sums {
  return [bytes.readInt32BE(at), bytes.readInt32BE(at + 4)];
}

function isSame(some: Sums, others: Sums): boolean {
  return some[0] === others[0] && some[1] === others[1];
}

function bits(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}
