import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';

/**
 * Kills the process group that `child` leads when this process has ended, however that came about: no hook runs after
 * SIGKILL, but the guard's standard input is closed by then.
 */
export function endWithParent(child: ChildProcess): void {
  if (child.pid === undefined || process.platform === 'win32') return;
  const guard = spawn('sh', ['-c', 'read -r _; kill -s KILL -- "-$0"', String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.unref();
  // A pipe of a child process is a socket, which its type does not say.
  (guard.stdin as unknown as { unref(): void }).unref();
  child.once('exit', () => guard.kill('SIGKILL'));
}

/** Ends what is left of the group, if anything is. */
export function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
