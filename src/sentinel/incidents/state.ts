import { createHash } from 'node:crypto';
import { textOf } from '../../ground/json.ts';
import { type Incident, property } from './incident.ts';

/**
 * What an incremental export knows about the one before it. An export asks for incidents that were modified or created
 * at `modifiedSince` or later. That time is before the start of the export that wrote it, so that no incident is missed
 * between two exports; `exported` names the incidents since then that the former export already had.
 */
export interface ExportState {
  /** Resource id of the workspace, lower case. */
  readonly workspaceId: string;
  /** A hash of the filters: another selection is another export. */
  readonly selection: string;
  /** ISO 8601. */
  readonly modifiedSince: string;
  /** The version of each incident (its etag, or when it was modified) by its name. */
  readonly exported: ReadonlyMap<string, string>;
}

/** The file exists, but is not a state that this export can use. */
export class ExportStateError extends Error {
  override readonly name = 'ExportStateError';
  readonly code = 'incremental_state_unusable';
}

const formatVersion = 1;

/**
 * How far an export reaches back before its own start. An incident can appear in the list some time after it was
 * modified, and the clocks of Azure's servers differ.
 */
export const overlapMs = 10 * 60_000;

export function selectionKey(options: object): string {
  return createHash('sha256').update(JSON.stringify(options)).digest('hex').slice(0, 16);
}

/** @throws ExportStateError when the text is not a state, or is that of another workspace or selection */
export function readState(text: string, expected: { workspaceId: string; selection: string }): ExportState {
  const state = parse(text);
  if (state === null) {
    throw new ExportStateError(
      'is not the state of an export; name another file, or delete it to export everything once more',
    );
  }
  if (state.workspaceId !== expected.workspaceId.toLowerCase()) {
    throw new ExportStateError(`belongs to another workspace, ${state.workspaceId}; use one file for each workspace`);
  }
  if (state.selection !== expected.selection) {
    throw new ExportStateError('belongs to an export with other filters; use one file for each selection');
  }
  return state;
}

function parse(text: string): ExportState | null {
  try {
    const value: unknown = JSON.parse(text);
    const { version, workspaceId, selection, modifiedSince, exported } = Object(value) as Record<string, unknown>;
    if (version !== formatVersion || typeof workspaceId !== 'string' || typeof selection !== 'string') return null;
    if (typeof modifiedSince !== 'string' || Number.isNaN(Date.parse(modifiedSince))) return null;
    if (typeof exported !== 'object' || exported === null || Array.isArray(exported)) return null;
    const entries = Object.entries(exported).map(([name, revision]) => [name, String(revision)] as const);
    return { workspaceId, selection, modifiedSince, exported: new Map(entries) };
  } catch {
    return null;
  }
}

export function writeState({ exported, ...rest }: ExportState): string {
  return `${JSON.stringify({ version: formatVersion, ...rest, exported: Object.fromEntries(exported) }, null, 2)}\n`;
}

/** The `$filter` of the incidents that may have changed; null for the first export. */
export function changedSince(state: ExportState | null): string | null {
  return state === null ? null : `properties/lastModifiedTimeUtc ge ${new Date(state.modifiedSince).toISOString()}`;
}

/** Says which incidents the former export already had, and makes the state for the next one. */
export class ChangeTracker {
  readonly #former: ExportState | null;
  readonly #modifiedSince: Date;
  readonly #exported = new Map<string, string>();

  /** `startedAtMs`: when this export asked for its first page, by Azure's clock. */
  constructor(former: ExportState | null, startedAtMs: number) {
    this.#former = former;
    // Never later, whatever the former mark was, because this export may miss what is modified while it runs.
    this.#modifiedSince = new Date(startedAtMs - overlapMs);
  }

  /** False if the former export had this version of the incident. */
  isNew(incident: Incident): boolean {
    const revision = revisionOf(incident);
    if (this.#isRecent(incident)) this.#exported.set(incident.name, revision);
    return this.#former?.exported.get(incident.name) !== revision;
  }

  next(workspaceId: string, selection: string): ExportState {
    return {
      workspaceId: workspaceId.toLowerCase(),
      selection,
      modifiedSince: this.#modifiedSince.toISOString(),
      exported: this.#exported,
    };
  }

  /** An incident without a time counts as recent, so that the next export can compare it. */
  #isRecent({ resource }: Incident): boolean {
    const modified = Date.parse(textOf(property(resource, 'lastModifiedTimeUtc')) ?? '');
    return !(modified < this.#modifiedSince.getTime());
  }
}

function revisionOf({ resource }: Incident): string {
  const modified = textOf(property(resource, 'lastModifiedTimeUtc')) ?? '';
  return `${textOf(resource['etag']) ?? ''} ${modified}`.trim();
}
