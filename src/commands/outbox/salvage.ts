import { systemClock } from '../../ground/clock.ts';
import { type SalvageCounts, SalvageError, salvage as salvageFile } from '../../outbox/sqlite/salvage.ts';
import { type CommandContext, exitCodes } from '../context.ts';
import { renderTable } from '../text.ts';
import { withOwnDatabase } from './connect.ts';

/** Brings back what can be read of a database that was set aside as damaged. */
export async function salvage(
  context: CommandContext,
  file: string,
  options: { readonly json?: boolean },
): Promise<number> {
  return withOwnDatabase(context, async ({ store }) => {
    try {
      const counts = await salvageFile(file, store, { nowMs: systemClock.now(), onProgress: progress(context) });
      if (options.json === true) context.stdout.write(`${JSON.stringify(counts, null, 2)}\n`);
      else context.stdout.write(render(counts));
      return exitCodes.done;
    } catch (error) {
      if (!(error instanceof SalvageError)) throw error;
      context.stderr.write(`${error.code}: ${error.message}\n`);
      return exitCodes.failed;
    }
  });
}

function progress({ stderr }: CommandContext): (counts: SalvageCounts) => void {
  return ({ recovered, duplicate }) => void stderr.write(`${recovered + duplicate} records …\n`);
}

function render({ recovered, duplicate, unreadable, identities }: SalvageCounts): string {
  return renderTable(
    ['RECORDS', 'COUNT'],
    [
      ['recovered', String(recovered)],
      ['known already', String(duplicate)],
      ['unreadable', String(unreadable)],
      ['delivered, remembered again', String(identities)],
    ],
  );
}
