import { type Command, InvalidArgumentError, Option } from 'commander';
import { classifications, severities, statuses, timeForms } from '../../sentinel/incidents/filter.ts';
import { formatNames } from '../../sentinel/incidents/formats.ts';
import { detailNames } from '../../sentinel/incidents/incident.ts';
import type { CommandContext } from '../context.ts';
import type { ExportOptions } from './export.ts';
import type { ListOptions } from './list.ts';

type Done = (exitCode: number) => void;

/** `incidents …`: Sentinel's incidents, read through Resource Manager. */
export function addIncidentsCommands(program: Command, context: CommandContext, done: Done): void {
  const incidents = program.command('incidents').description('see and export the incidents of Microsoft Sentinel');
  addSelection(incidents.command('list'))
    .description('list incidents, newest first')
    .option('--limit <number>', 'at most so many', wholeNumber, 50)
    .option('--json', "print JSON: Resource Manager's own objects")
    .action(async (options: ListOptions) => done(await (await import('./list.ts')).list(context, options)));
  incidents
    .command('show <id>')
    .description('show one incident, by its number or its GUID, with comments, alerts and entities')
    .option('--json', "print JSON: Resource Manager's own object, with comments, alerts and entities as members")
    .action(async (id: string, options: { json?: boolean }) =>
      done(await (await import('./show.ts')).show(context, id, options)),
    );
  addSelection(incidents.command('export'))
    .description('write all incidents, oldest first, to stdout or a file')
    .addOption(new Option('--format <format>', 'what is written').choices(formatNames).default('csv'))
    .option('--out <file>', 'write to this file, whole or not at all; {time} in its name becomes the time')
    .option('--with <details>', `comma-separated: ${detailNames.join(', ')}`, oneOrMoreOf(detailNames))
    .option('--incremental <file>', 'only what is new or changed since the export that wrote this file; then write it')
    .option('--bom', 'CSV begins with a byte order mark, for Excel')
    .option('--quiet', 'no progress on stderr')
    .action(async (options: ExportOptions) =>
      done(await (await import('./export.ts')).exportIncidents(context, options)),
    );
}

function addSelection(command: Command): Command {
  return command
    .option('--since <time>', `created then or later: ${timeForms}`)
    .option('--until <time>', 'created earlier than that')
    .option('--status <list>', `comma-separated: ${statuses.join(', ')}`, oneOrMoreOf(statuses))
    .option('--severity <list>', `comma-separated: ${severities.join(', ')}`, oneOrMoreOf(severities))
    .option('--title <text>', 'the title holds this; can be given several times', collected)
    .option('--label <name>', 'has this label; can be given several times', collected)
    .option('--classification <list>', `comma-separated: ${classifications.join(', ')}`, oneOrMoreOf(classifications))
    .option('--filter <odata>', 'any OData $filter of the API, e.g. "properties/owner/email eq \'jo@example.com\'"')
    .option('--apono', "only those of analytics rules that read Apono's tables or functions");
}

/** Takes the words in any case, and gives them in the case that Azure needs. */
function oneOrMoreOf<T extends string>(allowed: readonly T[]) {
  return (text: string, former: readonly T[] = []): readonly T[] => {
    const words = text.split(',').map((word) => word.trim().toLowerCase());
    const found = words.map((word) => allowed.find((one) => one.toLowerCase() === word));
    if (found.some((one) => one === undefined)) throw new InvalidArgumentError(`Known are: ${allowed.join(', ')}.`);
    return [...new Set([...former, ...found.filter((one) => one !== undefined)])];
  };
}

function collected(text: string, former: readonly string[] = []): readonly string[] {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return [...former, text];
}

function wholeNumber(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1) throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}
