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

interface Frame {
  readonly page: number;
  /** The pages of the database after a commit; 0 when the transaction goes on. */
  readonly commitPages: number;
  readonly data: Buffer;
  /** The checksum with which the chain goes on; after a lost frame it is the one that the frame has stored. */
  readonly sums: Buffer;
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
  const read = (at: number, length = FRAME_BYTES): Buffer | null => {
    const bytes = Buffer.allocUnsafeSlow(length);
    return readSync(descriptor, bytes, 0, length, at) < length ? null : bytes;
  };
  const start = read(0, HEADER_BYTES + FRAME_HEADER_BYTES);
  if (start === null) return;
  let chain = readHeader(start);
  for (let at = HEADER_BYTES; ; at += FRAME_BYTES) {
    const bytes = read(at);
    if (bytes === null) return;
    const frame = readFrame(bytes, chain, () => read(at + FRAME_BYTES));
    yield frame;
    chain = { ...chain, sums: frame.sums };
  }
}

/**
 * What the first frame goes on from. Every frame repeats the `salts`; frames with others are left over from before SQLite
 * began the log anew. `sums`: the checksum so far, two sums of 32 bits; null: the header should have it and is damaged.
 */
function readHeader(start: Buffer): { bigEndian: boolean; salts: Buffer; sums: Buffer | null } {
  const bigEndian = start.readUInt32BE(0) === MAGIC + 1;
  const sums = start.subarray(24, 32);
  const isOurs = start.readUInt32BE(0) === MAGIC + Number(bigEndian);
  if (isOurs && sum(start.subarray(0, 24), Buffer.alloc(8), bigEndian).equals(sums)) {
    return { bigEndian, salts: start.subarray(16, 24), sums };
  }
  // The frames say the same, except for the byte order, which is little-endian on x64 and arm64.
  return { bigEndian: false, salts: start.subarray(HEADER_BYTES + 8, HEADER_BYTES + 16), sums: null };
}

function readFrame(bytes: Buffer, chain: ReturnType<typeof readHeader>, readNext: () => Buffer | null): Frame {
  const { salts, bigEndian, sums: start } = chain;
  const summed = summedPart(bytes);
  const stored = bytes.subarray(16, 24);
  const found = start === null ? stored : sum(summed, start, bigEndian);
  // A bit of the last word can change the checksum as a bit of the stored one does. The next frame tells them apart.
  const isStoredRight = () => {
    const next = readNext();
    return next !== null && sum(summedPart(next), stored, bigEndian).equals(next.subarray(16, 24));
  };
  let state: Frame['state'] = start === null ? 'mended' : 'sound';
  let sums = stored;
  if (!found.equals(stored)) {
    state = 'mended';
    if (wrongBits(found, stored) === 1 && !isStoredRight()) sums = found;
    else if (!mendBit(summed, found, stored, bigEndian)) state = 'lost';
  }
  const wrongSaltBits = wrongBits(salts, bytes.subarray(8, 16));
  if (wrongSaltBits > 0) state = wrongSaltBits === 1 && state === 'sound' ? 'mended' : 'lost';
  const page = summed.readUInt32BE(0);
  if (page === 0) state = 'lost';
  return { page, commitPages: summed.readUInt32BE(4), data: summed.subarray(8), state, sums };
}

/** What the checksum of a frame covers: the first half of its header, and its page. */
function summedPart(bytes: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, 8), bytes.subarray(FRAME_HEADER_BYTES)]);
}

/** How many bits of two buffers of eight bytes differ. */
function wrongBits(some: Buffer, others: Buffer): number {
  return (some.readBigUInt64BE() ^ others.readBigUInt64BE()).toString(2).replaceAll('0', '').length;
}

function sum(bytes: Buffer, start: Buffer, bigEndian: boolean): Buffer {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let [first, second] = [start.readInt32BE(0), start.readInt32BE(4)];
  for (let at = 0; at < bytes.length; at += 8) {
    first = (first + words.getInt32(at, !bigEndian) + second) | 0;
    second = (second + words.getInt32(at + 4, !bigEndian) + first) | 0;
  }
  const sums = Buffer.alloc(8);
  sums.writeInt32BE(first, 0);
  sums.writeInt32BE(second, 4);
  return sums;
}

/**
 * A word that is larger by n makes the sums larger by n times two neighbouring Fibonacci numbers, the later the word the
 * smaller, modulo 2^32. So each of the 33,000 bits is tried without summing again, and no other damage looks like one
 * flipped bit: the sums have 64 bits.
 */
function mendBit(bytes: Buffer, found: Buffer, expected: Buffer, bigEndian: boolean): boolean {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const missingOf = (at: number) => (expected.readInt32BE(at) - found.readInt32BE(at)) | 0;
  const [missing, nextMissing] = [missingOf(0), missingOf(4)];
  let [factor, nextFactor] = [0, 1];
  for (let at = bytes.length - 4; at >= 0; at -= 4) {
    const word = words.getInt32(at, !bigEndian);
    for (let bit = 0; bit < 32; bit++) {
      const mask = 1 << bit;
      const change = (word & mask) === 0 ? mask : -mask;
      if (Math.imul(factor, change) !== missing || Math.imul(nextFactor, change) !== nextMissing) continue;
      words.setInt32(at, word ^ mask, !bigEndian);
      return true;
    }
    [factor, nextFactor] = [nextFactor, (factor + nextFactor) | 0];
  }
  return false;
}
