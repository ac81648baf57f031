/**
 * Makes the generated files of deploy/ from schemas/, the registry of kinds and the content in deploy/sentinel/, the lists of
 * the kinds' streams in other files, and .env.example:
 *
 *     node deploy/generate/main.ts            writes those that have drifted
 *     node deploy/generate/main.ts --check    writes nothing; exits with 1 and names each file that has drifted
 *
 * Exit code 2: an unknown argument, or content that is malformed.
 */
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { runGenerator } from './command.ts';
import { serviceStreams } from './streams.ts';

const folder = fileURLToPath(new URL('..', import.meta.url));
const { exitCode, stdout, stderr } = runGenerator(process.argv.slice(2), folder, serviceStreams());
process.stdout.write(stdout);
process.stderr.write(stderr);
process.exitCode = exitCode;
