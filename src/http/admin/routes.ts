import type { OperatorListRequest, OutboxOperator, PageJson } from '../../outbox/operator.ts';
import { OutboxUnavailableError } from '../../outbox/port.ts';
import { RecordIdError } from '../../outbox/record-id.ts';
import { type Answer, jsonAnswer } from '../answer.ts';
import type { AppRoute, Handler } from '../app.ts';
import { type BodyReader, checkBodyHeaders, readBody } from '../body.ts';
import { encodingUnsupported } from '../encoding.ts';
import type { Exchange } from '../exchange.ts';
import { problem } from '../problem.ts';
import { invalid, readListQuery, readPurgeBody, readReplayBody } from './requests.ts';

interface RouteOptions extends BodyReader {
  readonly operator: OutboxOperator;
  /** Which outbox it is, for the commands. */
  readonly storeId: string | null;
}

/** The admin API over the outbox: what operator.ts can do, as requests and answers. */
export function outboxRoutes(options: RouteOptions): AppRoute[] {
  const { operator, storeId } = options;
  const route = (path: string, method: 'GET' | 'POST', handler: Handler): AppRoute => ({
    path: `/admin/v1/outbox${path}`,
    route: 'admin',
    methods: method === 'GET' ? ['GET', 'HEAD'] : ['POST'],
    handler: refusing(handler),
  });
  return [
    route('', 'GET', async () => json({ ...(await operator.stats()), store: storeId })),
    route('/records', 'GET', async ({ request }) => json(await listPage(operator, readListQuery(request)))),
    route('/records/:id', 'GET', async ({ request }) => {
      const record = await operator.show(String(request.params['id']));
      if (record === null) throw problem('record_not_found');
      return json(record);
    }),
    route('/replay', 'POST', async (exchange) => {
      const { ids, dryRun } = readReplayBody(await readJsonBody(exchange, options));
      return json({ dry_run: dryRun, results: await operator.replay(ids, { dryRun }) });
    }),
    route('/purge', 'POST', async (exchange) => {
      const ids = readPurgeBody(await readJsonBody(exchange, options));
      return json({ results: await operator.purge(ids) });
    }),
  ];
}

async function listPage(operator: OutboxOperator, query: OperatorListRequest): Promise<PageJson> {
  try {
    return await operator.list(query);
  } catch (error) {
    // What a cursor looks like is the engine's alone.
    if (error instanceof RangeError) throw invalid([{ path: 'after', message: 'is no `next` of a page before' }]);
    throw error;
  }
}

/** Neither an id that names no one record, nor an engine that is gone or being restarted, is a defect of ours. */
function refusing(handler: Handler): Handler {
  return async (exchange) => {
    try {
      return await handler(exchange);
    } catch (error) {
      if (error instanceof RecordIdError) throw problem(error.code, { detail: error.message });
      if (!(error instanceof OutboxUnavailableError)) throw error;
      const detail =
        'The outbox does not answer now, and nothing was changed. Look at /readyz and the log of the service.';
      throw problem('outbox_unavailable', { detail, retryAfterSeconds: 10 });
    }
  };
}

async function readJsonBody(exchange: Exchange, options: RouteOptions): Promise<Uint8Array> {
  const { request } = exchange;
  // A web page can send text/plain or a form to any port without asking; for JSON its browser asks first, in vain.
  if (!/^application\/json *(;|$)/i.test(request.headers['content-type'] ?? '')) throw problem('content_type_not_json');
  const headers = checkBodyHeaders(request, options.limits);
  if (headers.coding === null) throw encodingUnsupported();
  const { bytes, wrongEncoding, release } = await readBody(exchange, headers, options);
  release();
  if (wrongEncoding !== null) throw wrongEncoding;
  return bytes;
}

function json(body: unknown): Answer {
  return jsonAnswer(200, body);
}
