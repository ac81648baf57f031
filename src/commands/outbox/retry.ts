import type { Command } from 'commander';
import { type CommandContext, exitCodes, type JsonOption, printResult } from '../context.ts';
import { kindOption } from '../template.ts';
import { plural, renderTable } from '../text.ts';
import { findAdminClient } from './admin-client.ts';

export const define = (command: Command) =>
  command
    .description('have the running service try at once what it holds, or waits to try again')
    .addOption(kindOption('only the stream of this kind'))
    .option('--json', 'print JSON');

/** For a person who has mended what a hold names and does not want to wait for its next attempt. */
export async function run(context: CommandContext, options: JsonOption & { readonly kind?: string }): Promise<number> {
  const resumed = await findAdminClient(context).retry(options.kind ?? null);
  const rows = resumed.map((one) => [one.kind, one.stream, one.code ?? '-']);
  printResult(context, options, { resumed }, renderTable(['KIND', 'STREAM', 'HOLD'], rows));
  const tried = `${plural(resumed.length, 'stream')} ${resumed.length === 1 ? 'is' : 'are'} tried again at once.`;
  context.stderr.write(`${resumed.length === 0 ? 'Nothing waits to be tried again.' : tried}\n`);
  return exitCodes.done;
}
