import { type Command, Option } from 'commander';
import { systemClock } from '../../ground/clock.ts';
import { copyRecords, type MoveCounts } from '../../outbox/move.ts';
import { type CommandContext, exitCodes, type JsonOption, misconfigured, printResult } from '../context.ts';
import { renderTable } from '../text.ts';
import { openPostgres, openSqlite, requireDatabase, withAccess } from './connect.ts';

export const define = (command: Command) =>
  command
    .description('move everything between DATA_DIR and OUTBOX_URL; no service may run on the one that is left')
    .addOption(new Option('--to <engine>', 'where to').choices(['postgres', 'sqlite']).makeOptionMandatory())
    .option('--json', 'print JSON');

export function run(
  context: CommandContext,
  options: JsonOption & { readonly to: 'postgres' | 'sqlite' },
): Promise<number> {
  const { stderr } = context;
  const toPostgres = options.to === 'postgres';
  return withAccess(context, async (access) => {
    const { values } = access;
    const unset = { name: 'OUTBOX_URL', message: 'is not set: it names the PostgreSQL database' };
    if (values.OUTBOX_URL === null) throw misconfigured([unset]);
    if (toPostgres) requireDatabase(values.DATA_DIR);
    const onProgress = ({ moved, known }: MoveCounts): void => void stderr.write(`${moved + known} records …\n`);
    const postgres = await openPostgres(access);
    const sqlite = await openSqlite(access);
    const [source, target] = toPostgres ? [sqlite, postgres] : [postgres, sqlite];
    const counts = await copyRecords(source.engine.records(), target.store, onProgress);
    const kept = await source.engine.setAside(systemClock.now());
    stderr.write(`All of it is there. What it was moved from is kept as ${kept}; delete it when you want.\n`);
    const { moved, known, identities } = counts;
    const shown = { moved, 'known there already': known, 'delivered, remembered there': identities };
    printResult(context, options, counts, renderTable(['RECORDS', 'COUNT'], Object.entries(shown)));
    return exitCodes.done;
  });
}
