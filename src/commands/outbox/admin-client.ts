import type {
  DetailJson,
  OutboxOperator,
  PageJson,
  PurgeResult,
  ReplayResult,
  StatsJson,
} from '../../outbox/operator.ts';
import { RecordIdError } from '../../outbox/record-id.ts';
import { type HttpResult, sendHttp } from '../local-service.ts';

export interface AdminAddress {
  /** `http://127.0.0.1:9090` */
  readonly origin: string;
  readonly token: string | null;
}

/** The admin API of a running service, seen from a command. */
export interface AdminClient extends OutboxOperator {
  /** Which outbox it serves, to be compared with outbox/store-id.ts. */
  storeId(): Promise<string | null>;
}

/** What to do next stands in the message. */
export class AdminApiError extends Error {
  override readonly name = 'AdminApiError';
  readonly code: 'admin_unreachable' | 'admin_refused' | 'admin_foreign' | 'admin_other_outbox';

  constructor(code: AdminApiError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** A replay reads up to 100 bodies again, and each can be of MAX_BODY_BYTES. */
const TIME_LIMIT_MS = 120_000;
/** A page of 1,000 records with reasons of 4,096 characters, or one body of the largest MAX_BODY_BYTES as JSON. */
const MAX_ANSWER_BYTES = 512 * 1024 * 1024;

interface Answer {
  readonly status: number;
  readonly json: unknown;
}

export function createAdminClient(address: AdminAddress): AdminClient {
  /** The admin API writes what operator.ts declares, so that one member is enough to tell it from another program. */
  function asOurs<T>(json: unknown, member: keyof T & string): T {
    if (typeof json === 'object' && json !== null && member in json) return json as T;
    throw foreign(address.origin, `answered something else (${member} is missing)`);
  }
  async function ask<T>(path: string, member: keyof T & string, body?: object): Promise<T> {
    return asOurs<T>((await askAdmin(address, path, body)).json, member);
  }
  return {
    async storeId() {
      const { store } = await ask<StatsJson & { readonly store: string | null }>('', 'held_kinds');
      return store;
    },
    stats: () => ask<StatsJson>('', 'held_kinds'),
    list: ({ limit, ...rest }) =>
      ask<PageJson>(`/records?${new URLSearchParams({ limit: String(limit), ...rest })}`, 'records'),
    async show(id) {
      const { status, json } = await askAdmin(address, `/records/${encodeURIComponent(id)}`);
      return status === 404 ? null : asOurs<DetailJson>(json, 'dead_letters');
    },
    async replay(ids, { dryRun }) {
      type Answered = { readonly results: readonly ReplayResult[] };
      return (await ask<Answered>('/replay', 'results', { ids, dry_run: dryRun })).results;
    },
    async purge(ids) {
      return (await ask<{ readonly results: readonly PurgeResult[] }>('/purge', 'results', { ids })).results;
    },
  };
}

/** Answers that are no 200 throw, except for a 404 that says that the record is not there. */
async function askAdmin({ origin, token }: AdminAddress, path: string, body?: object): Promise<Answer> {
  const url = new URL(`/admin/v1/outbox${path}`, origin);
  const result = await sendHttp(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    timeLimitMs: TIME_LIMIT_MS,
    maxAnswerBytes: MAX_ANSWER_BYTES,
  });
  if (result.type === 'failed') throw unreachable(origin, result.reason);
  const json = parse(result.body);
  if (result.status === 200) return { status: 200, json };
  const { code, detail } = problemOf(json);
  if (result.status === 404 && code === 'record_not_found') return { status: 404, json };
  if (code === 'id_too_short' || code === 'id_ambiguous') throw new RecordIdError(code, detail);
  if (code === null) throw foreign(origin, `answered ${result.status}`);
  throw refused(origin, result, `${code}: ${token === null ? detail : detail.replaceAll(token, '***')}`);
}

function unreachable(origin: string, reason: string): AdminApiError {
  const message =
    `A process has the outbox open, and the admin API at ${origin} cannot be reached: ${reason}. If the service runs, ` +
    'give this command its ADMIN_HOST and ADMIN_PORT; if another outbox command runs, wait for its end.';
  return new AdminApiError('admin_unreachable', message);
}

function refused(origin: string, { status }: HttpResult & { type: 'answered' }, problem: string): AdminApiError {
  const hint = status === 401 ? ' Give this command the ADMIN_TOKEN of the service.' : '';
  return new AdminApiError('admin_refused', `The admin API at ${origin} answered ${status}, ${problem}${hint}`);
}

function foreign(origin: string, what: string): AdminApiError {
  const message =
    `What listens at ${origin} is not the admin API of apono-sentinel: it ${what}. Give this command the ADMIN_HOST and ` +
    'ADMIN_PORT of the service that has the outbox open.';
  return new AdminApiError('admin_foreign', message);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function problemOf(json: unknown): { readonly code: string | null; readonly detail: string } {
  if (typeof json !== 'object' || json === null || !('code' in json) || !('detail' in json)) {
    return { code: null, detail: '' };
  }
  return { code: String(json.code), detail: String(json.detail) };
}
