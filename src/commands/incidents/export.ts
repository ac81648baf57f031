import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { ArmError } from '../../azure/arm-error.ts';
import { type Incidents, maxPageSize } from '../../azure/incidents.ts';
import { systemClock } from '../../ground/clock.ts';
import { textOf } from '../../ground/json.ts';
import { allOf } from '../../sentinel/incidents/filter.ts';
import { createFormat, type FormatName, formatNames } from '../../sentinel/incidents/formats.ts';
import {
  type DetailedIncident,
  type DetailName,
  detailNames,
  type Incident,
  property,
} from '../../sentinel/incidents/incident.ts';
import { type CommandContext, CommandError, exitCodes, onFirstSignal, wrongUsage } from '../context.ts';
import { plural, printable } from '../text.ts';
import { allInOrder, armErrorText, type Connected, withIncidents } from './connect.ts';
import * as output from './output.ts';
import * as selection from './selection.ts';
import { changedSince, loadState, saveState, selectionKey, trackChanges } from './state.ts';

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
  readonly out?: string;
  readonly with?: readonly DetailName[];
  readonly incremental?: string;
  readonly bom?: boolean;
  readonly quiet?: boolean;
}

/** One question may be asked so often: about a quarter of an hour of an outage. */
const maxAttempts = 10;
const detailBatch = 4;

/** Writes all incidents that the options select, oldest first, with one page in memory at a time. */
export async function run(context: CommandContext, options: ExportOptions): Promise<number> {
  const nowMs = systemClock.now();
  const filter = selection.readSelection(options, nowMs);
  // No colons, which Windows does not allow in a name: `2026-11-01T080000Z`.
  const time = new Date(nowMs).toISOString().replaceAll(/\.\d+|:/g, '');
  const out = options.out?.replaceAll('{time}', time);
  const problem = usageProblem(options, out);
  if (problem !== null) throw wrongUsage(problem);
  const progress = output.createProgress(context.stderr, systemClock, { quiet: options.quiet === true });
  const stopping = new AbortController();
  const release = onFirstSignal(context, () => {
    context.stderr.write('\nStopping.\n');
    stopping.abort();
  });
  try {
    const connection = { signal: stopping.signal, maxAttempts, onRetry: progress.retry };
    return await withIncidents(context, connection, (connected) =>
      new Export({ context, options, connected, progress, filter, out }).run(),
    );
  } finally {
    release();
  }
}

function usageProblem({ bom, format, incremental, out: given }: ExportOptions, out: string | undefined): string | null {
  if (bom === true && format !== 'csv') return '--bom goes with --format csv';
  if (given === '' || incremental === '') return '--out and --incremental must name a file';
  if (incremental === undefined) return null;
  if (!existsSync(path.dirname(path.resolve(incremental)))) return `there is no folder for ${printable(incremental)}`;
  if (out === undefined) return null;
  if (path.resolve(out) === path.resolve(incremental)) return '--out and --incremental name the same file';
  const problem = 'is there already, and an incremental export holds only what changed since: put {time} into the name';
  return existsSync(out) ? `${out} ${problem}` : null;
}

interface ExportParts {
  readonly context: CommandContext;
  readonly options: ExportOptions;
  readonly connected: Connected;
  readonly progress: output.Progress;
  readonly filter: string | null;
  readonly out: string | undefined;
}

class Export {
  readonly #parts: ExportParts;
  #count = 0;
  #lastCreated: string | null = null;

  constructor(parts: ExportParts) {
    this.#parts = parts;
  }

  async run(): Promise<number> {
    const { context, connected, options, out, progress, filter } = this.#parts;
    const { incremental, with: details = [] } = options;
    const identity = { workspaceId: connected.workspaceId, selection: selectionKey(selection.selectionParts(options)) };
    const former = incremental === undefined ? null : await loadState(incremental, identity);
    const wanted = await selection.wantedBy(connected.incidents, options);
    const target = out === undefined ? output.openStreamOutput(context.stdout) : await output.openFileOutput(out);
    const format = createFormat({ format: options.format, details, bom: options.bom === true });
    let changes: ReturnType<typeof trackChanges> | null = null;
    let isBegun = false;
    try {
      const query = { filter: allOf([filter, changedSince(former)]), order: 'asc', pageSize: maxPageSize } as const;
      for await (const page of connected.incidents.pages(query)) {
        changes ??= trackChanges(former, page.answeredAtMs);
        if (!isBegun) await target.write(format.head);
        isBegun = true;
        const { isNew } = changes;
        const chosen = page.incidents.filter((one) => wanted(one) && (incremental === undefined || isNew(one)));
        for await (const detailed of this.#detailed(chosen, details)) {
          await target.write(format.part(detailed));
          this.#countOn(detailed);
        }
      }
      isBegun = false;
      await target.write(format.tail);
      await target.commit();
    } catch (error) {
      progress.end();
      if (isBegun) await target.write(format.tail).catch(() => undefined);
      return this.#fail(error, target);
    }
    progress.end();
    if (incremental !== undefined && changes !== null) {
      await saveState(incremental, changes.next(identity)).catch(({ message }: CommandError) => {
        const complete = `The export itself is complete, with ${this.#counted()}; the next one repeats it.`;
        throw new CommandError(exitCodes.failed, `${complete}\n${message}`);
      });
    }
    if (options.quiet !== true) {
      context.stderr.write(`${this.#counted()} exported${out === undefined ? '' : ` to ${printable(out)}`}.\n`);
    }
    return exitCodes.done;
  }

  async *#detailed(incidents: readonly Incident[], names: readonly DetailName[]) {
    const size = names.length === 0 ? incidents.length : detailBatch;
    let at = 0;
    do {
      const batch = incidents.slice(at, at + size);
      yield await allInOrder(batch.map((one) => withDetails(this.#parts.connected.incidents, one, names)));
      at += size;
    } while (at < incidents.length);
  }

  #countOn(incidents: readonly Incident[]): void {
    this.#count += incidents.length;
    const last = incidents.at(-1);
    if (last !== undefined) this.#lastCreated = textOf(property(last.resource, 'createdTimeUtc'));
    this.#parts.progress.update(this.#count, this.#lastCreated);
  }

  #counted(): string {
    return plural(this.#count, 'incident');
  }

  /** Says what is missing, and where the rest is. */
  async #fail(error: unknown, target: output.ExportOutput): Promise<number> {
    const { context, options } = this.#parts;
    const kept = await target.abandon().catch((failure: Error) => {
      context.stderr.write(printable(`${failure.message}\n`));
      return null;
    });
    // Its reader has what it wanted, as of `… | head`.
    if (error instanceof output.OutputError && error.isClosed && options.incremental === undefined)
      return exitCodes.done;
    const told = error instanceof ArmError ? armErrorText(error) : error instanceof CommandError ? error.message : null;
    if (told === null) throw error;
    throw new CommandError(exitCodes.failed, `${told}\nThe export is incomplete. ${this.#missing(kept)}`);
  }

  #missing(kept: string | null): string {
    const { out, options } = this.#parts;
    const notWritten = (separator: string) =>
      out === undefined ? '' : `${printable(out)} was not written${separator} `;
    const state = options.incremental;
    const next =
      state === undefined ? '' : ` ${printable(state)} is as it was, so the next run begins at the same place.`;
    if (this.#count === 0) return `${notWritten(':')}No incident had arrived.${next}`;
    const where = kept === null ? 'What was written' : printable(kept);
    const upTo = this.#lastCreated === null ? '' : `, up to the one created ${printable(this.#lastCreated)}`;
    return `${notWritten('.')}${where} holds ${this.#counted()}${upTo}; those created later are missing.${next}`;
  }
}

async function withDetails(
  incidents: Incidents,
  incident: Incident,
  names: readonly DetailName[],
): Promise<DetailedIncident> {
  const found = await allInOrder(names.map(async (name) => [name, await incidents.details(incident, name)] as const));
  return { ...incident, details: Object.fromEntries(found) };
}
