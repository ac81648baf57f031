import { type Command, InvalidArgumentError, Option } from 'commander';
import { operatorStates } from '../../outbox/operator.ts';
import type { CommandContext } from '../context.ts';
import type { ListOptions } from './list.ts';
import type { MigrateOptions } from './migrate.ts';
import type { PurgeOptions } from './purge.ts';
import type { ReplayOptions } from './replay.ts';
import type { ShowOptions } from './show.ts';

type Done = (exitCode: number) => void;

/** `outbox …`: while the service runs through its admin API, else on the database itself. */
export function addOutboxCommands(program: Command, context: CommandContext, done: Done): void {
  const outbox = program.command('outbox').description('see, replay and purge what is in the outbox');
  addReading(outbox, context, done);
  addReplay(outbox, context, done);
  addPurge(outbox, context, done);
  outbox
    .command('salvage <file>')
    .description('bring back what can be read of a damaged database; no service may run')
    .option('--json', 'print JSON')
    .action(async (file: string, options: { json?: boolean }) =>
      done(await (await import('./salvage.ts')).salvage(context, file, options)),
    );
  outbox
    .command('backup <file>')
    .description('copy the SQLite outbox to a new file, also while the service runs')
    .option('--json', 'print JSON')
    .action(async (file: string, options: { json?: boolean }) =>
      done(await (await import('./backup.ts')).backup(context, file, options)),
    );
  outbox
    .command('migrate')
    .description('move everything between DATA_DIR and OUTBOX_URL; no service may run on the one that is left')
    .addOption(new Option('--to <engine>', 'where to').choices(['postgres', 'sqlite']).makeOptionMandatory())
    .option('--json', 'print JSON')
    .action(async (options: MigrateOptions) => done(await (await import('./migrate.ts')).migrate(context, options)));
}

function addReading(outbox: Command, context: CommandContext, done: Done): void {
  outbox
    .command('stats')
    .description('counts and ages, by state')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }) => done(await (await import('./stats.ts')).stats(context, options)));
  outbox
    .command('list')
    .description('list records, oldest first')
    .addOption(new Option('--state <state>', 'only those of this state').choices(operatorStates))
    .option('--kind <kind>', 'only events of this kind')
    .option('--limit <number>', 'at most so many', wholeNumber, 100)
    .option('--all', 'all of them')
    .option('--json', 'print JSON')
    .action(async (options: ListOptions) => done(await (await import('./list.ts')).list(context, options)));
  outbox
    .command('show <id>')
    .description('show one record and its dead letters')
    .option('--body', 'and its body')
    .option('--json', 'print JSON')
    .action(async (id: string, options: ShowOptions) =>
      done(await (await import('./show.ts')).show(context, id, options)),
    );
}

function addReplay(outbox: Command, context: CommandContext, done: Done): void {
  outbox
    .command('replay [ids...]')
    .description('send dead letters again, and read quarantined bodies again')
    .option('--all', 'all of a state')
    .addOption(new Option('--state <state>', 'with --all').choices(['dead', 'quarantined']))
    .option('--kind <kind>', 'with --all: only events of this kind')
    .option('--code <code>', 'with --all: only records of this code')
    .option('--dry-run', 'only show what would be sent')
    .option('--json', 'print JSON')
    .action(async (ids: readonly string[], options: ReplayOptions) =>
      done(await (await import('./replay.ts')).replay(context, ids, options)),
    );
}

function addPurge(outbox: Command, context: CommandContext, done: Done): void {
  outbox
    .command('purge [ids...]')
    .description('delete records for good')
    .option('--all', 'all of a state')
    .addOption(new Option('--state <state>', 'with --all').choices(operatorStates))
    .option('--kind <kind>', 'with --all: only events of this kind')
    .option('--code <code>', 'with --all: only records of this code')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
    .action(async (ids: readonly string[], options: PurgeOptions) =>
      done(await (await import('./purge.ts')).purge(context, ids, options)),
    );
}

function wholeNumber(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1) throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}
