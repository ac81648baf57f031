/**
 * `npm run bench`: what the service does on this machine, each figure against something in the same run. Prints a table
 * and writes bench/results.json, or the file that is given. docs/performance.md says how to read it.
 *
 *     npm run bench [-- --only 1,4] [--out FILE]
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { startAzure } from './processes.ts';
import { type Figure, renderFigures } from './result.ts';
import { measureDeliveryDelay } from './scenarios/delivery-delay.ts';
import { measureDrain } from './scenarios/drain.ts';
import { measureFootprint } from './scenarios/footprint.ts';
import { measureLargestBody } from './scenarios/largest-body.ts';
import { measureLatency } from './scenarios/latency.ts';
import { measureReplicas } from './scenarios/replicas.ts';
import { measureThroughput } from './scenarios/throughput.ts';

const { values } = parseArgs({ options: { only: { type: 'string' }, out: { type: 'string' } } });
const only = values.only?.split(',') ?? ['1', '2', '3', '4', '5', '6', '7'];
const out = values.out ?? path.join(import.meta.dirname, 'results.json');

const startedAt = performance.now();
const azure = await startAzure();
const figures: Figure[] = [];
const measured = async (number: string, measure: () => Promise<Figure[]>): Promise<void> => {
  if (!only.includes(number)) return;
  process.stderr.write(`measuring ${number} …\n`);
  figures.push(...(await measure()));
};
// Half of this is the load of scenario 2, also when scenario 1 is left out.
let perSecond = 1_000;
try {
  await measured('1', async () => {
    const throughput = await measureThroughput(azure);
    ({ perSecond } = throughput);
    return throughput.figures;
  });
  await measured('2', () => measureLatency(azure, perSecond));
  await measured('3', () => measureDeliveryDelay(azure));
  await measured('4', () => measureDrain(azure));
  await measured('5', () => measureLargestBody(azure));
  await measured('6', () => measureFootprint(azure));
  await measured('7', () => measureReplicas(azure));
} finally {
  await azure.stop();
}
const machine = { processors: availableParallelism(), model: cpus()[0]?.model ?? '', node: process.version };
const seconds = Math.round((performance.now() - startedAt) / 1000);
process.stdout.write(
  `${renderFigures(figures)}\n${seconds} s on ${machine.processors} processors, Node ${machine.node}\n`,
);
await writeFile(
  out,
  `${JSON.stringify({ measuredAt: new Date().toISOString(), seconds, machine, figures }, null, 2)}\n`,
);
