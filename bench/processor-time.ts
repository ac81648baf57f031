/** Processor time from Linux's /proc: what something costs, where throughput also tells what else the machine does. */
import { readdir, readFile } from 'node:fs/promises';
import { cpus } from 'node:os';

/** USER_HZ of Linux: the unit of the times in /proc/<pid>/stat. */
const TICKS_PER_SECOND = 100;
/** Linux shows the names that workers are given. */
const STORE_THREAD = 'outbox';

/** The rest of `all` is garbage collection, compiling, zlib, DNS and files. */
export type ThreadGroup = 'all' | 'main' | 'store';

/** In milliseconds since the process began; null where there is no /proc. */
export async function processorTime(pid: number): Promise<Readonly<Record<ThreadGroup, number>> | null> {
  try {
    const stats = await readStats((await readdir(`/proc/${pid}/task`)).map((id) => `/proc/${pid}/task/${id}/stat`));
    const usedMs = (isMeant: (stat: Stat) => boolean): number => sum(stats.filter(isMeant).map((stat) => stat.usedMs));
    return {
      // The whole process, since some of its threads have ended.
      all: (await readStat(`/proc/${pid}/stat`)).usedMs,
      main: usedMs((stat) => stat.pid === pid),
      store: usedMs((stat) => stat.name === STORE_THREAD),
    };
  } catch {
    return null;
  }
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
