/**
 * `npm run bench`: what the service does on this machine, each figure beside something in the same run. Prints a table
 * and writes bench/results.json, or the file that is given. docs/performance.md says how to read it.
 *
 *     npm run bench [-- --only throughput,drain] [--against FOLDER] [--events 100000] [--out FILE]
 *
 * `--against`: a checkout of another version (a git worktree with its node_modules), measured in turn with this one.
 * `--events`: how many events the drain begins with.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { type Bench, versionsOf } from './contestants.ts';
import { startAzure } from './processes.ts';
import { type Figure, renderFigures } from './result.ts';
import { measureDrain } from './scenarios/drain.ts';
import { measureLargeBody } from './scenarios/large-body.ts';
import { measureLatency } from './scenarios/latency.ts';
import { measureReplicas } from './scenarios/replicas.ts';
import { measureThroughput } from './scenarios/throughput.ts';

const scenarios: Readonly<Record<string, (bench: Bench) => Promise<Figure[]>>> = {
  throughput: measureThroughput,
  latency: measureLatency,
  'large-body': measureLargeBody,
  drain: measureDrain,
  replicas: ({ azure }) => measureReplicas(azure),
};

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(scenarios).join(',') },
    against: { type: 'string' },
    events: { type: 'string', default: '20000' },
    out: { type: 'string', default: path.join(import.meta.dirname, 'results.json') },
  },
});

const startedAt = performance.now();
const [azure, azureDown] = [await startAzure(), await startAzure()];
azureDown.set({ isDown: true });
const bench = { azure, azureDown, versions: versionsOf(values.against), drainEvents: Number(values.events) };
const figures: Figure[] = [];
try {
  for (const name of values.only.split(',')) {
    const measure = scenarios[name];
    if (measure === undefined) throw new Error(`${name} must be one of ${Object.keys(scenarios).join(', ')}`);
    process.stderr.write(`measuring ${name} …\n`);
    figures.push(...(await measure(bench)));
  }
} finally {
  await azure.stop();
  await azureDown.stop();
}
const machine = { processors: availableParallelism(), model: cpus()[0]?.model ?? '', node: process.version };
const seconds = Math.round((performance.now() - startedAt) / 1000);
process.stdout.write(
  `${renderFigures(figures)}\n${seconds} s on ${machine.processors} processors, Node ${machine.node}\n`,
);
await writeFile(
  values.out,
  `${JSON.stringify({ measuredAt: new Date().toISOString(), seconds, machine, figures }, null, 2)}\n`,
);
