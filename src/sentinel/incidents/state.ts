import { createHash } from 'node:crypto';
import { type Incident, property, textOf } from './incident.ts';

/**
 * What an incremental export knows of the one before it. An export asks for what was modified at `modifiedSince` or
 * later, creation included; that time lies before the beginning of the export that wrote it, so that nothing can fall
 * between two exports, and `exported` names what that export had already of the time since then.
 */
export interface ExportState {
  /** Resource id of the workspace, lower case. */
  readonly workspaceId: string;
  /** Of the filters: another selection is another export. */
  readonly selection: string;
  /** ISO 8601. */
  readonly modifiedSince: string;
  /** Version of an incident (its etag, or when it was modified) by its name. */
  readonly exported: ReadonlyMap<string, string>;
}

/** The file is there and is not one of these. */
export class ExportStateError extends Error {
  override readonly name = 'ExportStateError';
  readonly code = 'incremental_state_unusable';
}

const formatVersion = 1;

/**
 * So far an export reaches back before its own beginning. An incident can be in the list some time after the time of its
 * modification, and the clocks of Azure's servers differ.
 */
export const overlapMs = 10 * 60_000;

export function selectionKey(options: object): string {
  return createHash('sha256').update(JSON.stringify(options)).digest('hex').slice(0, 16);
}

/** @throws ExportStateError when the text is no state, or that of another workspace or selection */
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

/** Follows an export: says what the former one had already, and makes the state for the next. */
export class ChangeTracker {
  readonly #former: ExportState | null;
  readonly #modifiedSince: Date;
  readonly #exported = new Map<string, string>();

  /** `startedAtMs`: when this export asked for its first page, by Azure's clock. */
  constructor(former: ExportState | null, startedAtMs: number) {
    this.#former = former;
    // Never later than that, whatever the former mark was: what is modified while this export runs may be missed by it.
    this.#modifiedSince = new Date(startedAtMs - overlapMs);
  }

  /** False: this version of it was in the former export. */
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

  /** One without a time counts as recent: then the next export has it to compare with. */
  #isRecent({ resource }: Incident): boolean {
    const modified = Date.parse(textOf(property(resource, 'lastModifiedTimeUtc')) ?? '');
    return !(modified < this.#modifiedSince.getTime());
  }
}

function revisionOf({ resource }: Incident): string {
  const modified = textOf(property(resource, 'lastModifiedTimeUtc')) ?? '';
  return `${textOf(resource['etag']) ?? ''} ${modified}`.trim();
}
