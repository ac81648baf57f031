import { BackupError, backUp } from '../../outbox/sqlite/backup.ts';
import { type CommandContext, exitCodes } from '../context.ts';
import { withDataDir } from './connect.ts';

/** Copies the SQLite outbox to a file, whether a service runs or not. */
export function backup(context: CommandContext, file: string, { json }: { readonly json?: boolean }): Promise<number> {
  const { stdout, stderr } = context;
  return withDataDir(context, async (dataDir) => {
    try {
      const bytes = backUp(dataDir, file);
      stdout.write(json === true ? `${JSON.stringify({ file, bytes }, null, 2)}\n` : `${bytes} bytes in ${file}\n`);
      return exitCodes.done;
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      stderr.write(`${error.code}: ${error.message}\n`);
      return exitCodes.failed;
    }
  });
}
