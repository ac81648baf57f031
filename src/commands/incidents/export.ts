import { existsSync } from 'node:fs';
import path from 'node:path';
import { ArmError } from '../../azure/arm-error.ts';
import { type Incidents, maxPageSize } from '../../azure/incidents.ts';
import { systemClock } from '../../ground/clock.ts';
import { textOf } from '../../ground/json.ts';
import { allOf } from '../../sentinel/incidents/filter.ts';
import { createFormat, type FormatName } from '../../sentinel/incidents/formats.ts';
import { type DetailedIncident, type DetailName, type Incident, property } from '../../sentinel/incidents/incident.ts';
import {
  ChangeTracker,
  changedSince,
  type ExportState,
  ExportStateError,
  selectionKey,
} from '../../sentinel/incidents/state.ts';
import { type CommandContext, exitCodes, onFirstSignal, wrongUsage } from '../context.ts';
import { plural, printable } from '../text.ts';
import { allInOrder, type Connected, reportArmError, withIncidents } from './connect.ts';
import { type ExportOutput, loadState, OutputError, openFileOutput, openStreamOutput, saveState } from './output.ts';
import { Progress } from './progress.ts';
import { readSelection, type SelectionOptions, selectionParts, type Wanted, wantedBy } from './selection.ts';

export interface ExportOptions extends SelectionOptions {
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
export async function exportIncidents(context: CommandContext, options: ExportOptions): Promise<number> {
  const nowMs = systemClock.now();
  const { problem: wrong, filter } = readSelection(options, nowMs);
  // No colons, which Windows does not allow in a name: `2026-11-01T080000Z`.
  const time = new Date(nowMs).toISOString().replaceAll(/\.\d+|:/g, '');
  const out = options.out?.replaceAll('{time}', time);
  const problem = wrong ?? usageProblem(options, out);
  if (problem !== null) return wrongUsage(context, problem);
  const progress = new Progress(context.stderr, systemClock, { quiet: options.quiet === true });
  const stopping = new AbortController();
  const release = onFirstSignal(context, () => {
    context.stderr.write('\nStopping.\n');
    stopping.abort();
  });
  try {
    const connection = { signal: stopping.signal, maxAttempts, onRetry: progress.retry.bind(progress) };
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
  if (out !== undefined && path.resolve(out) === path.resolve(incremental)) {
    return '--out and --incremental name the same file';
  }
  if (out !== undefined && existsSync(out)) {
    return `${out} is there already, and an incremental export holds only what changed since: put {time} into the name`;
  }
  return null;
}

interface ExportParts {
  readonly context: CommandContext;
  readonly options: ExportOptions;
  readonly connected: Connected;
  readonly progress: Progress;
  readonly filter: string | null;
  readonly out: string | undefined;
}

class Export {
  readonly #parts: ExportParts;
  readonly #selection: string;
  #count = 0;
  #lastCreated: string | null = null;

  constructor(parts: ExportParts) {
    this.#parts = parts;
    this.#selection = selectionKey(selectionParts(parts.options));
  }

  async run(): Promise<number> {
    const { context, connected, options, out } = this.#parts;
    try {
      const former = await this.#loadState();
      const wanted = await wantedBy(context, connected.incidents, options);
      if (wanted === null) return exitCodes.failed;
      const output = out === undefined ? openStreamOutput(context.stdout) : await openFileOutput(out);
      return await this.#runTo(output, former, wanted);
    } catch (error) {
      if (error instanceof ArmError) throw error;
      return this.#report(error);
    }
  }

  async #runTo(output: ExportOutput, former: ExportState | null, wanted: Wanted): Promise<number> {
    const { connected, options, progress } = this.#parts;
    const format = createFormat({ format: options.format, details: options.with ?? [], bom: options.bom === true });
    let tracker: ChangeTracker | null = null;
    let isBegun = false;
    try {
      const filter = allOf([this.#parts.filter, changedSince(former)]);
      for await (const page of connected.incidents.pages({ filter, order: 'asc', pageSize: maxPageSize })) {
        tracker ??= new ChangeTracker(former, page.answeredAtMs);
        if (!isBegun) await output.write(format.head);
        isBegun = true;
        const changes = tracker;
        const chosen = page.incidents.filter(
          (one) => wanted(one) && (options.incremental === undefined || changes.isNew(one)),
        );
        for await (const detailed of this.#detailed(chosen)) await this.#write(output, format.part(detailed), detailed);
      }
      isBegun = false;
      await output.write(format.tail);
      await output.commit();
    } catch (error) {
      progress.end();
      if (isBegun) await output.write(format.tail).catch(() => undefined);
      return this.#fail(error, output);
    }
    progress.end();
    return this.#succeed(tracker);
  }

  async *#detailed(incidents: readonly Incident[]): AsyncGenerator<readonly DetailedIncident[]> {
    const { options, connected } = this.#parts;
    const names = options.with ?? [];
    const size = names.length === 0 ? incidents.length : detailBatch;
    let at = 0;
    do {
      const batch = incidents.slice(at, at + size);
      yield await allInOrder(batch.map((incident) => withDetails(connected.incidents, incident, names)));
      at += size;
    } while (at < incidents.length);
  }

  async #write(output: ExportOutput, text: string, incidents: readonly Incident[]): Promise<void> {
    await output.write(text);
    this.#count += incidents.length;
    const last = incidents.at(-1);
    if (last !== undefined) this.#lastCreated = textOf(property(last.resource, 'createdTimeUtc'));
    this.#parts.progress.update(this.#count, this.#lastCreated);
  }

  #loadState(): Promise<ExportState | null> {
    const { options, connected } = this.#parts;
    if (options.incremental === undefined) return Promise.resolve(null);
    return loadState(options.incremental, { workspaceId: connected.workspaceId, selection: this.#selection });
  }

  async #succeed(tracker: ChangeTracker | null): Promise<number> {
    const { context, options, connected, out } = this.#parts;
    const count = plural(this.#count, 'incident');
    if (options.incremental !== undefined && tracker !== null) {
      const state = tracker.next(connected.workspaceId, this.#selection);
      await saveState(options.incremental, state).catch((error: unknown) => {
        context.stderr.write(`The export itself is complete, with ${count}; the next one repeats it.\n`);
        throw error;
      });
    }
    if (options.quiet !== true) {
      context.stderr.write(`${count} exported${out === undefined ? '' : ` to ${printable(out)}`}.\n`);
    }
    return exitCodes.done;
  }

  /** Says what is missing, and where the rest is. */
  async #fail(error: unknown, output: ExportOutput): Promise<number> {
    const { context, options } = this.#parts;
    const kept = await output.abandon().catch((failure: unknown) => {
      this.#report(failure);
      return null;
    });
    // Its reader has what it wanted, as of `… | head`.
    if (error instanceof OutputError && error.code === 'output_closed' && options.incremental === undefined)
      return exitCodes.done;
    if (error instanceof ArmError) reportArmError(context, error);
    else this.#report(error);
    context.stderr.write(`The export is incomplete. ${this.#missing(kept)}\n`);
    return exitCodes.failed;
  }

  #missing(kept: string | null): string {
    const { out, options } = this.#parts;
    const notWritten = (separator: string) =>
      out === undefined ? '' : `${printable(out)} was not written${separator} `;
    const state = options.incremental;
    const next = state && ` ${printable(state)} is as it was, so the next run begins at the same place.`;
    if (this.#count === 0) return `${notWritten(':')}No incident had arrived.${next ?? ''}`;
    const where = kept === null ? 'What was written' : printable(kept);
    const upTo = this.#lastCreated === null ? '' : `, up to the one created ${printable(this.#lastCreated)}`;
    const count = plural(this.#count, 'incident');
    return `${notWritten('.')}${where} holds ${count}${upTo}; those created later are missing.${next ?? ''}`;
  }

  /** Throws what is not expected. */
  #report(error: unknown): number {
    if (!(error instanceof OutputError || error instanceof ExportStateError)) throw error;
    this.#parts.context.stderr.write(printable(`${error.code}: ${error.message}\n`));
    return exitCodes.failed;
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
