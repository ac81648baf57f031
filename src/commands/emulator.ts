import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { type Answered, type Fault, faults, startEmulator } from '../emulator/emulator.ts';
import { heartbeatDefaultStream, heartbeatTable } from '../heartbeat/row.ts';
import { kinds } from '../kinds/registry.ts';
import { isOutboxLocked } from '../outbox/sqlite/lock.ts';
import { type CommandContext, exitCodes, failed, onFirstSignal } from './context.ts';
import { wholeNumber } from './text.ts';

interface EmulatorCommandOptions {
  readonly port: number;
  readonly fault?: Fault;
  readonly rows?: boolean;
}

export const define = (command: Command) =>
  command
    .description('run an emulated Azure alone, for a rehearsal with `serve`')
    .option('--port <port>', 'the port to listen on; 0: any free one', wholeNumber(0, 65_535), 0)
    .addOption(faultOption())
    .option('--rows', 'print the rows of each call too');

export const faultOption = () =>
  new Option(
    '--fault <fault>',
    `what is wrong with it: ${Object.entries(faults)
      .map(([name, text]) => `${name} (${text})`)
      .join('; ')}`,
  ).choices(Object.keys(faults));

/** What the emulated data collection rule declares: the default stream of each kind, and that of the heartbeat. */
export const emulatedStreams = Object.fromEntries([
  ...kinds.map(({ defaultStream, table }) => [defaultStream, table.columns]),
  [heartbeatDefaultStream, heartbeatTable.columns],
]);

/** The variables go to stdout, so that they can be written into a file, and what arrives goes to stderr. */
export async function run(context: CommandContext, { port, fault, rows }: EmulatorCommandOptions): Promise<number> {
  const { stdout, stderr } = context;
  const signal = new Promise<string>((resolve) => onFirstSignal(context, resolve));
  const onAnswer = (answered: Answered) => stderr.write(callText(answered, rows === true));
  const start = startEmulator(emulatedStreams, { port, fault: fault ?? null, onAnswer });
  const emulator = await start.catch(({ message }: Error) => {
    throw failed(`the emulator could not start: ${message}`);
  });
  const folder = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-emulator-'));
  const caFile = path.join(folder, 'ca.pem');
  // Not that of production, where a rehearsed event would be known for DEDUP_DAYS, and what is held would be sent later.
  const dataDir = path.join(folder, 'data');
  try {
    await writeFile(caFile, emulator.caPem);
    const environment = {
      ...emulator.environment,
      NODE_EXTRA_CA_CERTS: caFile,
      APONO_WEBHOOK_SECRET: 'rehearsal-secret-of-no-value',
      DATA_DIR: dataDir,
    };
    for (const [name, value] of Object.entries(environment)) stdout.write(`${name}=${value}\n`);
    stderr.write(`The emulated Azure is at ${emulator.origin}. It keeps rows in memory, and DATA_DIR, until Ctrl-C.\n`);
    stderr.write(faultText(emulator.origin, fault ?? null));
    await signal;
    return exitCodes.done;
  } finally {
    await emulator.stop();
    const isInUse = existsSync(dataDir) && isOutboxLocked(dataDir);
    if (isInUse) stderr.write(`A service still uses ${dataDir}: stop it, and delete the folder.\n`);
    await rm(isInUse ? caFile : folder, { recursive: true, force: true });
  }
}

/** What is wrong, and the line that changes it. */
export function faultText(origin: string, fault: Fault | null): string {
  const isWrong = fault === null ? 'It has no fault.' : `Its fault: ${faults[fault]}.`;
  const [change, name] = fault === null ? ['make one', '403'] : ['end it', 'none'];
  return `${isWrong} To ${change}: curl -ksX POST ${origin}/fault/${name}\n`;
}

function callText({ method, path: called, status, upload, fault }: Answered, withRows: boolean): string {
  const rows = upload?.rows ?? [];
  const what = upload === null ? `${method} ${called}` : `ingest ${upload.stream}, ${rows.length} rows`;
  const why = fault === null ? '' : ` (fault: ${fault})`;
  const texts = withRows ? rows.map((row) => `  ${JSON.stringify(row)}\n`) : [];
  return `${what}: ${status ?? 'the connection was cut'}${why}\n${texts.join('')}`;
}
