/**
 * Makes the generated files of deploy/ from schemas/, the registry of kinds and the content in deploy/sentinel/, the lists of
 * the kinds' streams in other files, and .env.example:
 *
 *     node deploy/generate/main.ts            writes those that have drifted
 *     node deploy/generate/main.ts --check    writes nothing; exits with 1 and names each file that has drifted
 *
 * Exit code 2: an unknown argument, or content that is malformed.
 */
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { ContentError, readContent } from './content/read.ts';
import { driftedFiles, writeFiles } from './files.ts';
import { generate } from './generate.ts';
import { filesOfKinds } from './kind-streams.ts';
import { serviceStreams } from './streams.ts';

const folder = fileURLToPath(new URL('..', import.meta.url));

function run(argv: readonly string[]): number {
  const [option, ...more] = argv;
  if (more.length > 0 || (option !== undefined && option !== '--check')) {
    process.stderr.write('usage: node deploy/generate/main.ts [--check]\n');
    return 2;
  }
  const made = generate({ streams: serviceStreams(), content: readContent(`${folder}sentinel`) });
  const files = new Map([...made, ...filesOfKinds(folder)]);
  const drifted = driftedFiles(folder, files);
  if (option === undefined) writeFiles(folder, files);
  for (const name of drifted)
    process.stdout.write(`${option === undefined ? 'written' : 'drifted'}: ${path.posix.join('deploy', name)}\n`);
  if (option === undefined || drifted.length === 0) return 0;
  process.stderr.write('Run "node deploy/generate/main.ts", and look at what changes.\n');
  return 1;
}

try {
  process.exitCode = run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof ContentError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
