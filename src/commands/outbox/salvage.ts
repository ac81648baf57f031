import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { systemClock } from '../../ground/clock.ts';
import { cameToNothing, type SalvageCounts, salvage } from '../../outbox/sqlite/salvage.ts';
import { type CommandContext, CommandError, exitCodes, failed, type JsonOption, printResult } from '../context.ts';
import { plural, renderTable } from '../text.ts';
import { openSqlite, withAccess } from './connect.ts';

export const define = (command: Command) =>
  command
    .argument('<file>')
    .description('bring back what can be read of a damaged database; no service may run')
    .option('--json', 'print JSON');

const inPostgres =
  'salvage: is for damaged files of SQLite, and OUTBOX_URL is set. Unset it to salvage into the outbox of DATA_DIR, ' +
  'from where `outbox migrate` takes it on.';

export function run(context: CommandContext, file: string, options: JsonOption): Promise<number> {
  return withAccess(context, async (access) => {
    if (access.values.OUTBOX_URL !== null) throw new CommandError(exitCodes.usage, inPostgres);
    // Before an outbox is made in a folder that was not meant either.
    if (![file, `${file}-wal`].some((one) => existsSync(one))) {
      throw failed(`salvage_unreadable: There is no file ${file}. Is the path right?`);
    }
    const onProgress = ({ recovered, duplicate }: SalvageCounts): void =>
      void context.stderr.write(`${plural(recovered + duplicate, 'record')} …\n`);
    const nowMs = systemClock.now();
    const { store } = await openSqlite(access);
    const counts = await salvage(file, store, { nowMs, onProgress });
    const { recovered, duplicate, unreadable, identities } = counts;
    const shown = { recovered, 'known already': duplicate, unreadable, 'delivered, remembered again': identities };
    printResult(context, options, counts, renderTable(['RECORDS', 'COUNT'], Object.entries(shown)));
    if (unreadable === 0) return exitCodes.done;
    const missing = `${plural(unreadable, 'record')} of which only traces are left must come from a backup or from Apono.`;
    const hasFailed = cameToNothing(counts);
    const named = `Nothing came back. ${file} keeps its name: if /healthz names it, that ends when you remove it.`;
    context.stderr.write(`${missing}${hasFailed ? ` ${named}` : ''}\n`);
    return hasFailed ? exitCodes.failed : exitCodes.done;
  });
}
