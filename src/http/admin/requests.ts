import type { Request } from 'express';
import { type OperatorListRequest, operatorStates } from '../../outbox/operator.ts';
import { MAX_IDS_PER_CALL } from '../../outbox/operator-local.ts';
import { problem } from '../problem.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const MAX_TEXT_LENGTH = 1_000;
const parameters = ['state', 'kind', 'after', 'limit'];

type Errors = { path: string; message: string }[];

/** Throws `request_invalid` with everything that is wrong. A parameter that is not known is most likely misspelt. */
export function readListQuery({ query }: Request): OperatorListRequest {
  const errors: Errors = [];
  for (const [name, value] of Object.entries(query)) {
    if (!parameters.includes(name)) errors.push(unknown(name, parameters));
    else if (typeof value !== 'string' || value === '' || value.length > MAX_TEXT_LENGTH) {
      errors.push({ path: name, message: `must be given once, with 1 to ${MAX_TEXT_LENGTH} characters` });
    }
  }
  const state = operatorStates.find((known) => known === query['state']);
  if (state === undefined) errors.push({ path: 'state', message: `must be one of ${operatorStates.join(', ')}` });
  const limit = Number(query['limit'] ?? DEFAULT_LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    errors.push({ path: 'limit', message: `must be a whole number from 1 to ${MAX_LIMIT}` });
  }
  if (state === undefined || errors.length > 0) throw invalid(errors);
  const { kind, after } = query;
  return { state, limit, ...(typeof kind === 'string' && { kind }), ...(typeof after === 'string' && { after }) };
}

interface ReplayBody {
  readonly ids: readonly string[];
  readonly dryRun: boolean;
}

export function readReplayBody(bytes: Uint8Array): ReplayBody {
  const { ids, errors, members } = readIds(bytes, ['ids', 'dry_run']);
  const { dry_run: dryRun = false } = members;
  if (typeof dryRun !== 'boolean') errors.push({ path: '/dry_run', message: 'must be true or false' });
  if (errors.length > 0) throw invalid(errors);
  return { ids, dryRun: dryRun === true };
}

export function readPurgeBody(bytes: Uint8Array): readonly string[] {
  const { ids, errors } = readIds(bytes, ['ids']);
  if (errors.length > 0) throw invalid(errors);
  return ids;
}

/** A member that is not known is refused: a misspelt `dry_run` must not become a replay. */
function readIds(bytes: Uint8Array, known: readonly string[]) {
  const members = parseObject(bytes);
  const errors: Errors = Object.keys(members)
    .filter((name) => !known.includes(name))
    .map((name) => unknown(`/${name}`, known));
  const given: unknown = members['ids'];
  const ids = Array.isArray(given) ? given.filter(isId) : [];
  if (!Array.isArray(given) || ids.length !== given.length || ids.length < 1 || ids.length > MAX_IDS_PER_CALL) {
    errors.push({ path: '/ids', message: `must be a list of 1 to ${MAX_IDS_PER_CALL} ids of records` });
  }
  return { ids, errors, members };
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT_LENGTH;
}

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw invalid([{ path: '', message: 'is not JSON' }]);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid([{ path: '', message: 'must be an object' }]);
  }
  return { ...value };
}

function unknown(path: string, known: readonly string[]): Errors[number] {
  return { path, message: `is unknown; known are ${known.join(', ')}` };
}

export function invalid(errors: Errors): Error {
  return problem('request_invalid', { members: { errors } });
}
