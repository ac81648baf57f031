import path from 'node:path';
import { ContentError, readContent } from './content/read.ts';
import { driftedFiles, writeFiles } from './files.ts';
import { generate } from './generate.ts';
import { filesOfKinds } from './kind-streams.ts';
import type { TableStream } from './streams.ts';

export interface GeneratorRun {
  readonly exitCode: 0 | 1 | 2;
  readonly stdout: string;
  readonly stderr: string;
}

/** What main.ts does with these arguments. `folder`: deploy/, with a slash at its end. */
export function runGenerator(argv: readonly string[], folder: string, streams: readonly TableStream[]): GeneratorRun {
  const [option, ...more] = argv;
  if (more.length > 0 || (option !== undefined && option !== '--check')) {
    return { exitCode: 2, stdout: '', stderr: 'usage: node deploy/generate/main.ts [--check]\n' };
  }
  try {
    const made = generate({ streams, content: readContent(`${folder}sentinel`) });
    const files = new Map([...made, ...filesOfKinds(folder)]);
    const drifted = driftedFiles(folder, files);
    const named = (what: string) => drifted.map((name) => `${what}: ${path.posix.join('deploy', name)}\n`).join('');
    if (option === undefined) {
      writeFiles(folder, files);
      return { exitCode: 0, stdout: named('written'), stderr: '' };
    }
    if (drifted.length === 0) return { exitCode: 0, stdout: '', stderr: '' };
    const stderr = 'Run "node deploy/generate/main.ts", and look at what changes.\n';
    return { exitCode: 1, stdout: named('drifted'), stderr };
  } catch (error) {
    if (!(error instanceof ContentError)) throw error;
    return { exitCode: 2, stdout: '', stderr: `${error.message}\n` };
  }
}
