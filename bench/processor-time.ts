/** Processor time from Linux's /proc: what something costs, where throughput also tells what else the machine does. */
import { readdir, readFile } from 'node:fs/promises';
import { cpus } from 'node:os';

/** USER_HZ of Linux: the unit of the times in /proc/<pid>/stat. */
const TICKS_PER_SECOND = 100;
/** The name of the thread that reads bodies and has the database, which Linux shows. */
const OUTBOX_THREAD = 'outbox';

/** By group of threads, in milliseconds since the process began. `rest` is garbage, compiling, zlib, DNS and files. */
export interface ProcessorTime {
  readonly allMs: number;
  readonly mainMs: number;
  readonly outboxMs: number;
  readonly restMs: number;
}

/** Null where there is no /proc. */
export async function processorTime(pid: number): Promise<ProcessorTime | null> {
  try {
    const threads = (await readdir(`/proc/${pid}/task`)).map((id) => `/proc/${pid}/task/${id}/stat`);
    const stats = await readStats(threads);
    const main = await readStat(`/proc/${pid}/task/${pid}/stat`);
    const outboxMs = sum(stats.filter(({ name }) => name === OUTBOX_THREAD).map(({ usedMs }) => usedMs));
    // Of the process and not of the threads that are there, since some have ended.
    const { usedMs: allMs } = await readStat(`/proc/${pid}/stat`);
    return { allMs, mainMs: main.usedMs, outboxMs, restMs: allMs - main.usedMs - outboxMs };
  } catch {
    return null;
  }
}

/** What each of so many things took between two readings; null where there is no /proc. */
export function costOfEach(
  before: ProcessorTime | null,
  after: ProcessorTime | null,
  count: number,
): ProcessorTime | null {
  if (before === null || after === null) return null;
  const each = (group: keyof ProcessorTime): number => (after[group] - before[group]) / count;
  return {
    allMs: each('allMs'),
    mainMs: each('mainMs'),
    outboxMs: each('outboxMs'),
    restMs: each('restMs'),
  };
}

/** Of a process, its children, and those of them that have ended, in milliseconds; null where there is no /proc. */
export async function familyTimeMs(parentPid: number): Promise<number | null> {
  try {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const stats = await readStats(pids.map((pid) => `/proc/${pid}/stat`));
    const family = stats.filter(({ pid, parentPid: parent }) => pid === parentPid || parent === parentPid);
    return family.length > 0 ? sum(family.map(({ usedMs, endedChildrenMs }) => usedMs + endedChildrenMs)) : null;
  } catch {
    return null;
  }
}

/** Null where there is no /proc. */
export async function parentOf(pid: number): Promise<number | null> {
  const [stat] = await readStats([`/proc/${pid}/stat`]);
  return stat?.parentPid ?? null;
}

interface Stat {
  readonly pid: number;
  readonly name: string;
  readonly parentPid: number;
  readonly usedMs: number;
  readonly endedChildrenMs: number;
}

/** Without those that have ended meanwhile. */
async function readStats(files: readonly string[]): Promise<Stat[]> {
  const read = await Promise.allSettled(files.map(readStat));
  return read.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

/** proc_pid_stat(5); the name stands in parentheses, and may hold some itself. */
async function readStat(file: string): Promise<Stat> {
  const text = await readFile(file, 'utf8');
  const nameEnd = text.lastIndexOf(')');
  // From the third field on.
  const fields = text.slice(nameEnd + 2).split(' ');
  const ms = (first: number): number =>
    ((Number(fields[first - 3]) + Number(fields[first - 2])) * 1000) / TICKS_PER_SECOND;
  return {
    pid: Number.parseInt(text, 10),
    name: text.slice(text.indexOf('(') + 1, nameEnd),
    parentPid: Number(fields[4 - 3]),
    usedMs: ms(14),
    endedChildrenMs: ms(16),
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Since the machine began, of all processors together. */
export interface MachineTime {
  readonly busyMs: number;
  readonly allMs: number;
}

export function machineTime(): MachineTime {
  const times = cpus().map((processor) => processor.times);
  const allMs = sum(times.flatMap((each) => Object.values(each)));
  return { allMs, busyMs: allMs - sum(times.map(({ idle }) => idle)) };
}
