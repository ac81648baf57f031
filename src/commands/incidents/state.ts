import { hash } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isJsonObject, parseObject, textOf } from '../../ground/json.ts';
import { syncPath } from '../../outbox/sqlite/files.ts';
import { type Incident, textAt } from '../../sentinel/incidents/incident.ts';
import { failed } from '../context.ts';
import { targetOf, temporaryOf } from './output.ts';
import type { SelectionOptions } from './selection.ts';

/** What an incremental export knows about the one before it: docs/adr/0016-reading-incidents.md. */
export interface ExportState {
  /** Resource id of the workspace; case does not matter. */
  readonly workspaceId: string;
  /** A hash of the filters: another selection is another export. */
  readonly selection: string;
  /** ISO 8601: `overlapMs` before the start of the export that wrote this. */
  readonly modifiedSince: string;
  /** The version of each incident since then (its etag, or when it was modified) by its name. */
  readonly exported: ReadonlyMap<string, string>;
}

type ExportIdentity = Pick<ExportState, 'workspaceId' | 'selection'>;

const formatVersion = 1;

/**
 * How far an export reaches back before its own start. An incident can appear in the list some time after it was
 * modified, and the clocks of Azure's servers differ.
 */
export const overlapMs = 10 * 60_000;

/** What makes an incremental export the same one again. Times count as they were written: `7d` moves along. */
export function selectionKey(options: SelectionOptions): string {
  const names = ['since', 'until', 'status', 'severity', 'title', 'label', 'filter', 'apono', 'classification'];
  return hash('sha256', JSON.stringify(options, names)).slice(0, 16);
}

/** Null: there is none yet. Rejects with a CommandError for a file that is not the state of this export. */
export async function loadState(file: string, expected: ExportIdentity): Promise<ExportState | null> {
  const text = await readFile(file, 'utf8').catch(({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'ENOENT') return null;
    throw unusable(`${file} cannot be read: ${message}`);
  });
  if (text === null) return null;
  const state = readState(text);
  if (state === null) {
    const advice = 'name another file, or delete it to export everything once more';
    throw unusable(`${file} is not the state of an export; ${advice}`);
  }
  if (state.workspaceId !== expected.workspaceId.toLowerCase()) {
    throw unusable(`${file} belongs to another workspace, ${state.workspaceId}; use one file for each workspace`);
  }
  if (state.selection !== expected.selection) {
    throw unusable(`${file} belongs to an export with other filters; use one file for each selection`);
  }
  return state;
}

const unusable = (problem: string) => failed(`incremental_state_unusable: ${problem}`);

/** Null for a text that is no state. */
export function readState(text: string): ExportState | null {
  const { version, workspaceId, selection, modifiedSince, exported } = parseObject(text) ?? {};
  if (version !== formatVersion || typeof workspaceId !== 'string' || typeof selection !== 'string') return null;
  if (typeof modifiedSince !== 'string' || Number.isNaN(Date.parse(modifiedSince))) return null;
  if (!isJsonObject(exported)) return null;
  const entries = Object.entries(exported).map(([name, revision]) => [name, String(revision)] as const);
  return { workspaceId, selection, modifiedSince, exported: new Map(entries) };
}

export function writeState({ exported, ...rest }: ExportState): string {
  return `${JSON.stringify({ version: formatVersion, ...rest, exported: Object.fromEntries(exported) }, null, 2)}\n`;
}

/** Whole or not at all. Rejects with a CommandError. */
export async function saveState(file: string, state: ExportState): Promise<void> {
  const target = await targetOf(file);
  const temporary = temporaryOf(target);
  try {
    await writeFile(temporary, writeState(state), { flag: 'wx', mode: 0o600, flush: true });
    await rename(temporary, target);
    syncPath(dirname(target));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw unusable(`${file} cannot be written: ${(error as Error).message}`);
  }
}

/** The `$filter` of the incidents that may have changed; null for the first export. */
export function changedSince(state: ExportState | null): string | null {
  return state === null ? null : `properties/lastModifiedTimeUtc ge ${new Date(state.modifiedSince).toISOString()}`;
}

/**
 * Says which incidents the former export already had, and makes the state for the next one. `startedAtMs`: when this
 * export asked for its first page, by Azure's clock.
 */
export function trackChanges(former: ExportState | null, startedAtMs: number) {
  // Never later, whatever the former mark was, because this export may miss what is modified while it runs.
  const sinceMs = startedAtMs - overlapMs;
  const exported = new Map<string, string>();
  return {
    /** False if the former export had this version of the incident. */
    isNew({ name, resource }: Incident): boolean {
      const modified = textAt(resource, 'lastModifiedTimeUtc') ?? '';
      const revision = `${textOf(resource['etag']) ?? ''} ${modified}`.trim();
      // An incident without a time counts as recent, so that the next export can compare it.
      if (!(Date.parse(modified) < sinceMs)) exported.set(name, revision);
      return former?.exported.get(name) !== revision;
    },
    next({ workspaceId, selection }: ExportIdentity): ExportState {
      const modifiedSince = new Date(sinceMs).toISOString();
      return { workspaceId: workspaceId.toLowerCase(), selection, modifiedSince, exported };
    },
  };
}
