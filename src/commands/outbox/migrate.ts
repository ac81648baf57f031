import { systemClock } from '../../ground/clock.ts';
import { type MoveCounts, MoveError, moveRecords } from '../../outbox/move.ts';
import { sqliteMoveSource } from '../../outbox/sqlite/move.ts';
import { type CommandContext, exitCodes } from '../context.ts';
import { renderTable } from '../text.ts';
import { withBoth } from './connect.ts';

export interface MigrateOptions {
  readonly to: 'postgres' | 'sqlite';
  readonly json?: boolean;
}

/**
 * Moves what waits, what is dead or quarantined, and what was delivered within DEDUP_DAYS, from the outbox of DATA_DIR to
 * that of OUTBOX_URL or back.
 */
export function migrate(context: CommandContext, { to, json }: MigrateOptions): Promise<number> {
  return withBoth(context, { create: to === 'sqlite' }, async ({ sqlite, dataDir, postgres }) => {
    try {
      const onProgress = ({ moved, known }: MoveCounts): void =>
        void context.stderr.write(`${moved + known} records …\n`);
      const counts =
        to === 'postgres'
          ? await moveRecords(sqliteMoveSource(sqlite, dataDir, systemClock.now()), postgres, onProgress)
          : await moveRecords(postgres, sqlite, onProgress);
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
