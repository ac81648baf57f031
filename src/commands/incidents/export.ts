import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { ArmError } from '../../azure/arm-error.ts';
import { maxPageSize } from '../../azure/incidents.ts';
import { systemClock } from '../../ground/clock.ts';
import { allOf } from '../../sentinel/incidents/filter.ts';
import { createFormat, type FormatName, formatNames } from '../../sentinel/incidents/formats.ts';
import {
  type DetailedIncident,
  type DetailName,
  detailNames,
  type Incident,
  textAt,
} from '../../sentinel/incidents/incident.ts';
import { type CommandContext, CommandError, exitCodes, failed, onFirstSignal, wrongUsage } from '../context.ts';
import { plural, printable } from '../text.ts';
import { allInOrder, armErrorText, type Connected, withIncidents } from './connect.ts';
import * as output from './output.ts';
import * as selection from './selection.ts';
import { changedSince, type ExportState, loadState, saveState, selectionKey, trackChanges } from './state.ts';

export const define = (command: Command) =>
  selection
    .defineSelection(command)
    .description('write all incidents, oldest first, to stdout or a file')
    .addOption(new Option('--format <format>', 'what is written').choices(formatNames).default('csv'))
    .option('--out <file>', 'write to this file, whole or not at all; {time} in its name becomes the time')
    .option('--with <details>', `comma-separated: ${detailNames.join(', ')}`, selection.oneOrMoreOf(detailNames))
    .option('--incremental <file>', 'only what is new or changed since the export that wrote this file; then write it')
    .option('--bom', 'CSV begins with a byte order mark, for Excel')
    .option('--quiet', 'no progress on stderr');

interface ExportOptions extends selection.SelectionOptions {
  readonly format: FormatName;
  readonly out?: string | undefined;
  readonly with?: readonly DetailName[];
  readonly incremental?: string;
  readonly bom?: boolean;
  readonly quiet?: boolean;
}

/** One question may be asked so often: about a quarter of an hour of an outage. */
const maxAttempts = 10;
const detailBatch = 4;

/** Writes all incidents that the options select, oldest first, with one page in memory at a time. */
export async function run(context: CommandContext, given: ExportOptions): Promise<number> {
  const nowMs = systemClock.now();
  const filter = selection.readSelection(given, nowMs);
  // No colons, which Windows does not allow in a name: `2026-11-01T080000Z`.
  const time = new Date(nowMs).toISOString().replaceAll(/\.\d+|:/g, '');
  const options = { ...given, out: given.out?.replaceAll('{time}', time) };
  checkUsage(options);
  const progress = output.createProgress(context.stderr, systemClock, { quiet: options.quiet === true });
  const stopping = new AbortController();
  onFirstSignal(context, () => {
    context.stderr.write('\nStopping.\n');
    stopping.abort();
  });
  const connection = { signal: stopping.signal, maxAttempts, onRetry: progress.retry };
  return withIncidents(context, connection, (connected) =>
    exportAll({ ...connected, context, options, progress, filter, changes: null, count: 0, lastCreated: null }),
  );
}

function checkUsage({ bom, format, incremental, out }: ExportOptions): void {
  if (bom === true && format !== 'csv') throw wrongUsage('--bom goes with --format csv');
  if (out === '' || incremental === '') throw wrongUsage('--out and --incremental must name a file');
  if (incremental === undefined) return;
  if (!existsSync(path.dirname(path.resolve(incremental)))) throw wrongUsage(`there is no folder for ${incremental}`);
  if (out === undefined) return;
  if (path.resolve(out) === path.resolve(incremental)) throw wrongUsage('--out and --incremental name the same file');
  const problem = 'is there already, and an incremental export holds only what changed since: put {time} into the name';
  if (existsSync(out)) throw wrongUsage(`${out} ${problem}`);
}

interface Job extends Connected {
  readonly context: CommandContext;
  readonly options: ExportOptions;
  readonly progress: output.Progress;
  readonly filter: string | null;
  /** How far it has come. Null: no page was read. */
  changes: ReturnType<typeof trackChanges> | null;
  count: number;
  lastCreated: string | null;
}

async function exportAll(job: Job): Promise<number> {
  const { context, options, progress } = job;
  const { incremental, out } = options;
  const identity = { workspaceId: job.workspaceId, selection: selectionKey(options) };
  const former = incremental === undefined ? null : await loadState(incremental, identity);
  const wanted = await selection.wantedBy(job.incidents, options);
  const target = out === undefined ? output.openStreamOutput(context.stdout) : await output.openFileOutput(out);
  try {
    await copy(job, target, { former, wanted }).finally(progress.end);
    await target.commit();
  } catch (error) {
    return giveUp(job, target, error);
  }
  if (incremental !== undefined && job.changes !== null) {
    await saveState(incremental, job.changes.next(identity)).catch(({ message }: CommandError) => {
      throw failed(`The export itself is complete, with ${counted(job)}; the next one repeats it.\n${message}`);
    });
  }
  if (options.quiet !== true) {
    context.stderr.write(`${counted(job)} exported${out === undefined ? '' : ` to ${printable(out)}`}.\n`);
  }
  return exitCodes.done;
}

/** Writes what is selected, and its end also after a failure, so that what was written can be read. */
async function copy(
  job: Job,
  target: output.ExportOutput,
  { former, wanted }: { readonly former: ExportState | null; readonly wanted: selection.Wanted },
): Promise<void> {
  const { with: details = [], format: name, bom = false } = job.options;
  const format = createFormat({ format: name, details, bom });
  const size = details.length === 0 ? maxPageSize : detailBatch;
  const query = { filter: allOf([job.filter, changedSince(former)]), order: 'asc', pageSize: maxPageSize } as const;
  const detailed = async (one: Incident): Promise<DetailedIncident> => {
    const found = details.map(async (detail) => [detail, await job.incidents.details(one, detail)] as const);
    return { ...one, details: Object.fromEntries(await allInOrder(found)) };
  };
  try {
    for await (const page of job.incidents.pages(query)) {
      if (job.changes === null) await target.write(format.head);
      job.changes ??= trackChanges(former, page.answeredAtMs);
      const { isNew } = job.changes;
      const chosen = page.incidents.filter((one) => wanted(one) && isNew(one));
      for (let at = 0; at < chosen.length; at += size) {
        const batch = chosen.slice(at, at + size);
        await target.write(format.part(await allInOrder(batch.map(detailed))));
        job.count += batch.length;
        job.lastCreated = textAt(batch.at(-1)?.resource ?? {}, 'createdTimeUtc');
        job.progress.update(job.count, job.lastCreated);
      }
    }
  } catch (error) {
    if (job.changes !== null) await target.write(format.tail).catch(() => undefined);
    throw error;
  }
  await target.write(format.tail);
}

const counted = ({ count }: Job) => plural(count, 'incident');

/** Says what is missing, and where the rest is. */
async function giveUp(job: Job, target: output.ExportOutput, error: unknown): Promise<number> {
  const { context, options } = job;
  const kept = await target.abandon().catch((failure: Error) => {
    context.stderr.write(printable(`${failure.message}\n`));
    return null;
  });
  // Its reader has what it wanted, as of `… | head`.
  if (error instanceof output.OutputClosedError && options.incremental === undefined) return exitCodes.done;
  if (!(error instanceof ArmError || error instanceof CommandError)) throw error;
  const told = error instanceof ArmError ? armErrorText(error) : error.message;
  throw failed(`${told}\nThe export is incomplete. ${missing(job, kept)}`);
}

function missing(job: Job, kept: string | null): string {
  const { options, count, lastCreated } = job;
  const { incremental: state, out } = options;
  const notWritten = (separator: string) => (out === undefined ? '' : `${out} was not written${separator} `);
  const next = state === undefined ? '' : ` ${state} is as it was, so the next run begins at the same place.`;
  if (count === 0) return `${notWritten(':')}No incident had arrived.${next}`;
  const where = kept ?? 'What was written';
  const upTo = lastCreated === null ? '' : `, up to the one created ${lastCreated}`;
  return `${notWritten('.')}${where} holds ${counted(job)}${upTo}; those created later are missing.${next}`;
}
