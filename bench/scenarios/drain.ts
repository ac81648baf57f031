import process from 'node:process';
import { constants, gunzipSync, gzipSync } from 'node:zlib';
import type { Bench, Version } from '../contestants.ts';
import { documentedEvents, lists } from '../events.ts';
import { sendAll } from '../load.ts';
import { drained, residentMebibytes, startService } from '../processes.ts';
import { processorTime } from '../processor-time.ts';
import { type Figure, Turns } from '../result.ts';

const TURNS = 3;
const EVENTS_A_WEBHOOK = 500;
const LOOK_EVERY_MS = 1_000;
/** Of one data collection rule: 2 GB a minute, uncompressed (Azure Monitor's service limits, "Logs Ingestion API"). */
const RULE_BYTES_PER_SECOND = 2e9 / 60;
const RULE = `what one rule takes (${(RULE_BYTES_PER_SECOND / 1e6).toFixed(0)} MB/s)`;

interface Measured {
  /** Bytes of rows a second. */
  readonly rates: Turns;
  readonly rowRates: Turns;
  readonly processorMs: Turns;
  readonly memory: Turns;
}

/** Each service is started anew into the backlog, as after an outage. */
export async function measureDrain(bench: Bench): Promise<Figure[]> {
  const { drainEvents: events, versions } = bench;
  const scenario = `Drain of ${events.toLocaleString('en')} events of one row`;
  const measured = { rates: new Turns(), rowRates: new Turns(), processorMs: new Turns(), memory: new Turns() };
  let call: Buffer = Buffer.alloc(0);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const version of versions) call = await measure(bench, version, `drain-${turn}`, measured);
  }
  const shareOfRule = (figure: Figure): Figure => ({
    ...figure,
    ratio: ((figure.value ?? Number.NaN) * 1e6) / RULE_BYTES_PER_SECOND,
    against: RULE,
  });
  return [
    ...measured.rates.figures(scenario, { unit: 'MB/s' }).map(shareOfRule),
    ...measured.rowRates.figures(scenario, { unit: 'rows/s' }),
    ...measured.processorMs.figures(scenario, { prefix: 'processor time of a MB, ', unit: 'ms' }),
    ...measured.memory.figures(scenario, { prefix: 'resident memory after it, ', unit: 'MiB' }),
    ...gzipFigures(gunzipSync(call)),
  ];
}

/** From the first call that Azure took to the last. Gives the body of the largest one, as it was sent. */
async function measure(
  { azure, azureDown, drainEvents }: Bench,
  { name, folder }: Version,
  run: string,
  measured: Measured,
): Promise<Buffer> {
  const filling = await startService(azureDown, { folder });
  await sendAll(filling.target, lists(documentedEvents(run), drainEvents, EVENTS_A_WEBHOOK), 4);
  await filling.stop();
  await azure.report();
  const service = await startService(azure, { folder, dataDir: filling.dataDir });
  const before = await processorTime(service.pid);
  await drained(service, LOOK_EVERY_MS);
  const after = await processorTime(service.pid);
  measured.memory.add(name, await residentMebibytes(service));
  await service.stop();
  const { takenBytes, firstBytes, firstAtMs, lastAtMs, largestBody } = await azure.report();
  const bytesPerMs = (takenBytes - firstBytes) / (lastAtMs - firstAtMs);
  measured.rates.add(name, bytesPerMs / 1_000);
  measured.rowRates.add(name, (bytesPerMs * 1_000 * drainEvents) / takenBytes);
  if (before !== null && after !== null) {
    measured.processorMs.add(name, ((after.all - before.all) * 1e6) / takenBytes);
  }
  return Buffer.from(largestBody, 'base64');
}

const GZIP_TURNS = 30;

/** What the levels of gzip make of a call. The SDK's policy compresses with zlib's default, which is 6. */
function gzipFigures(call: Buffer): Figure[] {
  const scenario = `gzip of a call of ${call.length.toLocaleString('en')} bytes`;
  const [times, sizes] = [new Turns(), new Turns()];
  for (let turn = 0; turn < GZIP_TURNS; turn++) {
    for (const level of [constants.Z_BEST_SPEED, 6]) {
      const before = process.cpuUsage();
      const size = gzipSync(call, { level }).length;
      const { user, system } = process.cpuUsage(before);
      times.add(`level ${level}`, (user + system) / 1_000);
      sizes.add(`level ${level}`, size / 1_000);
    }
  }
  return [
    ...times.figures(scenario, { prefix: 'processor time, ', unit: 'ms', base: 'level 6' }),
    ...sizes.figures(scenario, { prefix: 'size, ', unit: 'KB', base: 'level 6' }),
  ];
}
