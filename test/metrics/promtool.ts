import { spawnSync } from 'node:child_process';

/** False where promtool can be run, else why a test has to be skipped. */
export function withoutPromtool(): false | string {
  return spawnSync('promtool', ['--version']).status === 0
    ? false
    : 'promtool is not installed (Debian: apt-get install prometheus); .ci/run has it';
}
