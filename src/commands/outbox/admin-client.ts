import { readVariables } from '../../config/read.ts';
import type { Values } from '../../config/variables.ts';
import type { Retried } from '../../delivery/event.ts';
import { parseObject } from '../../ground/json.ts';
import type { HistoryColumns } from '../../http/history.ts';
import type { StatusJson } from '../../http/status.ts';
import * as operator from '../../outbox/operator.ts';
import { type CommandContext, failed, misconfigured } from '../context.ts';
import { localOrigin, sendHttp } from '../local-service.ts';

/** A replay reads up to 100 bodies again, and each can be of MAX_BODY_BYTES. */
const TIME_LIMIT_MS = 120_000;
/** For what a person waits for. */
const LOOK_LIMIT_MS = 10_000;
/** A page of 1,000 records with reasons of 4,096 characters, or one body of the largest MAX_BODY_BYTES as JSON. */
const MAX_ANSWER_BYTES = 512 * 1024 * 1024;

/** The admin API that the variables name, whatever outbox is behind it: for commands that need a running service. */
export function findAdminClient({ env }: Pick<CommandContext, 'env'>) {
  const { values, problems } = readVariables(env, ['ADMIN_HOST', 'ADMIN_PORT', 'ADMIN_TOKEN']);
  if (problems.length > 0) throw misconfigured(problems);
  return createAdminClient(values, false);
}

/**
 * The admin API of a running service, seen from a command. `isOutboxOpen`: so some process must be there, and what is asked
 * of it may take long. What fails is a CommandError that says what to do, or a RecordIdError.
 */
export function createAdminClient(
  { ADMIN_HOST: host, ADMIN_PORT: port, ADMIN_TOKEN: token }: Pick<Values, 'ADMIN_HOST' | 'ADMIN_PORT' | 'ADMIN_TOKEN'>,
  isOutboxOpen: boolean,
) {
  const found = isOutboxOpen ? 'A process has the outbox open, and ' : '';
  const otherwise = isOutboxOpen ? '; if another outbox command runs, wait for its end' : '';
  if (port === 0) {
    throw failed(
      `admin_unreachable: ${found}ADMIN_PORT is 0: set ADMIN_PORT to the admin_port that the "ready" line of the service ` +
        'names.',
    );
  }
  const origin = localOrigin(host, port);
  const foreign = (what: string) =>
    failed(
      `admin_foreign: What listens at ${origin} is not the admin API of apono-sentinel: it ${what}. Give this command the ` +
        'ADMIN_HOST and ADMIN_PORT of the service.',
    );

  /** Null for a 404 that says that the record is not there. */
  async function find<T>(path: string, member: keyof T & string, body?: object): Promise<T | null> {
    const result = await sendHttp(new URL(`/admin/v1${path}`, origin), {
      headers: { 'content-type': 'application/json', ...(token !== null && { authorization: `Bearer ${token}` }) },
      body: body && JSON.stringify(body),
      timeLimitMs: isOutboxOpen ? TIME_LIMIT_MS : LOOK_LIMIT_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
    if (result.type === 'failed') {
      throw failed(
        `admin_unreachable: ${found}nothing answers at ${origin}: ${result.reason}. If the service runs, ` +
          `give this command its ADMIN_HOST and ADMIN_PORT${otherwise}.`,
      );
    }
    const { status } = result;
    const json = parseObject(result.body) ?? {};
    if (status === 200) {
      // The admin API writes what operator.ts declares, so that one member is enough to tell it from another program.
      if (member in json) return json as T;
      throw foreign(`answered something else (${member} is missing)`);
    }
    if (!('code' in json && 'detail' in json)) throw foreign(`answered ${status}`);
    const [code, detail] = [String(json['code']), String(json['detail'])];
    if (status === 404 && code === 'record_not_found') return null;
    if (code === 'id_too_short' || code === 'id_ambiguous') throw new operator.RecordIdError(code, detail);
    const said = token === null ? detail : detail.replaceAll(token, '***');
    const hint = status === 401 ? ' Give this command the ADMIN_TOKEN of the service.' : '';
    throw failed(`admin_refused: The admin API at ${origin} answered ${status}, ${code}: ${said}${hint}`);
  }

  async function ask<T>(path: string, member: keyof T & string, body?: object): Promise<T> {
    const found = await find<T>(path, member, body);
    if (found === null) throw foreign('answered 404');
    return found;
  }

  async function member<T>(path: string, name: string, body?: object): Promise<T> {
    const { [name]: value } = await ask<Record<string, T>>(path, name, body);
    return value as T;
  }

  const outbox: operator.OutboxOperator = {
    stats: () => ask<operator.StatsJson>('/outbox', 'held_kinds'),
    list: ({ limit, ...rest }) =>
      ask<operator.PageJson>(`/outbox/records?${new URLSearchParams({ limit: String(limit), ...rest })}`, 'records'),
    show: (id) => find<operator.DetailJson>(`/outbox/records/${encodeURIComponent(id)}`, 'dead_letters'),
    gone: (id) => member<operator.GoneJson | null>(`/outbox/gone/${encodeURIComponent(id)}`, 'event'),
    replay: (ids, { dryRun }) =>
      member<readonly operator.ReplayResult[]>('/outbox/replay', 'results', { ids, dry_run: dryRun }),
    purge: (ids) => member<readonly operator.PurgeResult[]>('/outbox/purge', 'results', { ids }),
  };
  return {
    ...outbox,
    /** `http://127.0.0.1:9090`. */
    origin,
    /** Which outbox it serves, to be compared with `storeId` of outbox/sqlite/lock.ts. */
    storeId: () => member<string | null>('/outbox', 'store'),
    /** What the page shows. */
    status: () => ask<StatusJson>('/status', 'sentence'),
    history: () => ask<HistoryColumns>('/history', 'rows_accepted'),
    /** Ends the waits after a setback; null: of every kind. */
    retry: (kind: string | null) => member<readonly Retried[]>('/outbox/retry', 'resumed', { kind }),
  };
}
