import type { Request } from 'express';
import type { Delivery } from '../../delivery/delivery.ts';
import { parseObject } from '../../ground/json.ts';
import { kindNamed, kinds } from '../../kinds/registry.ts';
import { type OperatorListRequest, operatorStates } from '../../outbox/operator.ts';
import { type HttpProblem, jsonAnswer, problem } from '../answer.ts';
import type { AppOptions, AppRoute } from '../app.ts';
import { createBodyReader, type ReadBody } from '../body.ts';
import type { Exchange } from '../exchange.ts';
import type { PageOptions } from './page/routes.ts';

export interface AdminRouteOptions extends PageOptions, Pick<AppOptions, 'limits'> {
  /** Identifies the outbox, so that a command can tell that it is not the one of its DATA_DIR. */
  readonly storeId: string | null;
  /** The text of /metrics. */
  readonly expose: () => Promise<{ readonly contentType: string; readonly body: string }>;
  /** Ends the waits of delivery after a setback. */
  readonly retry: Delivery['retry'];
}

/** /metrics, what operator.ts can do with the outbox, and the facts of the page. */
export function adminRoutes(options: AdminRouteOptions): AppRoute[] {
  const { operator, storeId, retry, expose, readStatus, history } = options;
  const readBody = createBodyReader(options);
  /** A route that changes something. `known`: the members that its body may have. */
  function order(path: string, known: readonly string[], carryOut: (body: Members) => Promise<unknown>): AppRoute {
    const route = apiRoute(path, async (exchange) => carryOut(await readMembers(exchange, readBody, known)));
    return { ...route, methods: ['POST'] };
  }
  return [
    apiRoute('/outbox', async () => ({ ...(await operator.stats()), store: storeId })),
    apiRoute('/outbox/records', ({ request }) => operator.list(readListQuery(request)).catch(refuseCursor)),
    apiRoute('/outbox/records/:id', async ({ request }) => {
      const record = await operator.show(String(request.params['id']));
      if (record === null) throw problem('record_not_found');
      return record;
    }),
    apiRoute('/outbox/gone/:id', async ({ request }) => ({
      event: await operator.gone(String(request.params['id'])),
    })),
    order('/outbox/replay', ['ids', 'dry_run'], async (body) => {
      const { ids, dryRun } = readOrder(body);
      return { dry_run: dryRun, results: await operator.replay(ids, { dryRun }) };
    }),
    order('/outbox/purge', ['ids'], async (body) => ({ results: await operator.purge(readOrder(body).ids) })),
    order('/outbox/retry', ['kind'], async (body) => ({ resumed: await retry(readKind(body)) })),
    apiRoute('/status', readStatus),
    apiRoute('/history', async () => history.columns()),
    { path: '/metrics', route: 'metrics', handler: async () => ({ status: 200, ...(await expose()) }) },
  ];
}

/** `answer` resolves with what is answered as JSON. */
function apiRoute(path: string, answer: (exchange: Exchange) => Promise<unknown>): AppRoute {
  return {
    path: `/admin/v1${path}`,
    route: 'admin',
    handler: async (exchange) => jsonAnswer(200, await answer(exchange)),
  };
}

/** Only the engine knows what a cursor looks like. */
function refuseCursor(error: unknown): never {
  throw error instanceof RangeError ? invalid([{ path: 'after', message: 'is no `next` of a page before' }]) : error;
}

/** The members of a JSON body, and an error for each unknown one: a misspelt `dry_run` must not become a replay. */
async function readMembers(exchange: Exchange, readBody: ReadBody, known: readonly string[]) {
  // A web page can send text/plain or a form to any port without asking; for JSON its browser asks first, in vain.
  const contentType = exchange.request.headers['content-type'] ?? '';
  if (!/^application\/json *(;|$)/i.test(contentType)) throw problem('content_type_not_json');
  const { bytes, wrongEncoding, release } = await readBody(exchange);
  release();
  if (wrongEncoding !== null) throw wrongEncoding;
  const members = parseObject(Buffer.from(bytes).toString());
  if (members === null) throw invalid([{ path: '', message: 'must be a JSON object' }]);
  const names = Object.keys(members).filter((name) => !known.includes(name));
  return { members, errors: names.map((name) => unknown(`/${name}`, known)) };
}

type Members = Awaited<ReturnType<typeof readMembers>>;

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const MAX_TEXT_LENGTH = 1_000;
/** The most ids in one call: more would hold the engine, and a request, for too long. */
const MAX_IDS_PER_CALL = 1_000;
const parameters = ['state', 'kind', 'after', 'limit'];

type Errors = { path: string; message: string }[];

function invalid(errors: Errors): HttpProblem {
  return problem('request_invalid', { members: { errors } });
}

function unknown(path: string, known: readonly string[]): Errors[number] {
  return { path, message: `is unknown; known are ${known.join(', ')}` };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT_LENGTH;
}

/** Throws `request_invalid` with everything that is wrong. A parameter that is not known is most likely misspelt. */
function readListQuery({ query }: Request): OperatorListRequest {
  const errors: Errors = [];
  for (const [name, value] of Object.entries(query)) {
    if (!parameters.includes(name)) errors.push(unknown(name, parameters));
    else if (!isText(value)) {
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
  return { state, limit, ...(isText(kind) && { kind }), ...(isText(after) && { after }) };
}

/** Throws `request_invalid`. */
function readOrder({ members, errors }: Members): { ids: readonly string[]; dryRun: boolean } {
  const { ids: given, dry_run: dryRun = false } = members;
  const ids = Array.isArray(given) ? given.filter(isText) : [];
  if (!Array.isArray(given) || ids.length !== given.length || ids.length < 1 || ids.length > MAX_IDS_PER_CALL) {
    errors.push({ path: '/ids', message: `must be a list of 1 to ${MAX_IDS_PER_CALL} ids of records` });
  }
  if (typeof dryRun !== 'boolean') errors.push({ path: '/dry_run', message: 'must be true or false' });
  if (errors.length > 0) throw invalid(errors);
  return { ids, dryRun: dryRun === true };
}

/** Null: every kind. Throws `request_invalid`. */
function readKind({ members, errors }: Members): string | null {
  const { kind = null } = members;
  const isKnown = kind === null || (isText(kind) && kindNamed(kind) !== undefined);
  if (!isKnown) errors.push({ path: '/kind', message: `must be one of ${kinds.map(({ name }) => name).join(', ')}` });
  if (!isKnown || errors.length > 0) throw invalid(errors);
  return kind;
}
