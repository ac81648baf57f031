import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Resident memory of a process in bytes. Linux only. */
export function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (line === null) throw new Error(`process ${pid} has no VmRSS: it has ended`);
  return Number(line[1]) * 1024;
}

/** The least that it takes while `durationMs` pass: what a collection gives back comes some time after the load. */
export async function settledBytes(pid: number, durationMs: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  const endsAt = performance.now() + durationMs;
  while (performance.now() < endsAt) {
    least = Math.min(least, residentBytes(pid));
    await pause(100);
  }
  return least;
}

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
