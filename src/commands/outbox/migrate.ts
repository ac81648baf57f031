import { systemClock } from '../../ground/clock.ts';
import { copyRecords, type MoveCounts, MoveError } from '../../outbox/move.ts';
import { type CommandContext, exitCodes } from '../context.ts';
import { renderTable } from '../text.ts';
import { withBoth } from './connect.ts';

export interface MigrateOptions {
  readonly to: 'postgres' | 'sqlite';
  readonly json?: boolean;
}

/**
 * Moves what waits, what is dead or quarantined, and what was delivered within DEDUP_DAYS, from the outbox of DATA_DIR to
 * that of OUTBOX_URL or back. The source is kept under another name, so that no service delivers from it again.
 */
export function migrate(context: CommandContext, { to, json }: MigrateOptions): Promise<number> {
  return withBoth(context, { create: to === 'sqlite' }, async ({ sqlite, postgres }) => {
    const [source, target] = to === 'postgres' ? [sqlite, postgres] : [postgres, sqlite];
    try {
      const onProgress = ({ moved, known }: MoveCounts): void =>
        void context.stderr.write(`${moved + known} records …\n`);
      const counts = await copyRecords(source.engine.records(), target.store, onProgress);
      const kept = await source.engine.setAside(systemClock.now());
      context.stderr.write(`All of it is there. What it was moved from is kept as ${kept}; delete it when you want.\n`);
      context.stdout.write(json === true ? `${JSON.stringify(counts, null, 2)}\n` : render(counts));
      return exitCodes.done;
    } catch (error) {
      if (!(error instanceof MoveError)) throw error;
      context.stderr.write(`${error.code}: ${error.message}\n`);
      return exitCodes.failed;
    }
  });
}

function render({ moved, known, identities }: MoveCounts): string {
  return renderTable(
    ['RECORDS', 'COUNT'],
    [
      ['moved', String(moved)],
      ['known there already', String(known)],
      ['delivered, remembered there', String(identities)],
    ],
  );
}
