import type { Command } from 'commander';
import { backUp } from '../../outbox/sqlite/database.ts';
import { type CommandContext, CommandError, exitCodes, type JsonOption, printResult } from '../context.ts';
import { requireDatabase, withAccess } from './connect.ts';

export const define = (command: Command) =>
  command
    .argument('<file>')
    .description('copy the SQLite outbox to a new file, also while the service runs')
    .option('--json', 'print JSON');

export function run(context: CommandContext, file: string, options: JsonOption): Promise<number> {
  return withAccess(context, ({ values: { OUTBOX_URL: url, DATA_DIR: dataDir } }) => {
    const inPostgres = 'backup: the outbox is in PostgreSQL (OUTBOX_URL). Back it up with pg_dump';
    if (url !== null) throw new CommandError(exitCodes.usage, inPostgres);
    requireDatabase(dataDir);
    const bytes = backUp(dataDir, file);
    printResult(context, options, { file, bytes }, `${bytes} bytes in ${file}\n`);
    return exitCodes.done;
  });
}
