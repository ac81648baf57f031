import type { OutgoingHttpHeaders } from 'node:http';
import type { TestContext } from 'node:test';
import { createLogger } from '../../src/ground/log.ts';
import { type AdminOptions, createAdminServer } from '../../src/http/admin/server.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { createOperator } from '../../src/outbox/operator-local.ts';
import type { Store, StoreEvent } from '../../src/outbox/store.ts';
import { type Reply, send, startEdge, wellHealth } from '../http/edge.ts';
import { type ManualClock, manualClock } from '../support/manual-clock.ts';
import { openTestStore } from '../support/store.ts';

export const adminToken = 'the-token-of-the-operator';
export const metricsToken = 'the-token-of-prometheus';
export const withToken = { authorization: `Bearer ${adminToken}` };

export interface Admin {
  readonly port: number;
  readonly outbox: Store;
  readonly clock: ManualClock;
  /** What delivery was told of. */
  readonly waiting: (StoreEvent & { readonly type: 'waiting' })[];
  logText(): string;
  get(path: string, headers?: OutgoingHttpHeaders): Promise<Reply>;
  post(path: string, body: unknown, headers?: OutgoingHttpHeaders): Promise<Reply>;
}

/** The real admin port over a real SQLite outbox; both end after the test. */
export async function startAdmin(
  t: TestContext,
  options: Partial<AdminOptions> & { token?: string; metricsToken?: string } = {},
): Promise<Admin> {
  const clock = manualClock();
  const lines: string[] = [];
  const log = createLogger('debug', { write: (line: string) => void lines.push(line) });
  const waiting: (StoreEvent & { type: 'waiting' })[] = [];
  const { store: outbox } = await openTestStore(t, {
    ...{ clock, log },
    onEvent: (event) => event.type === 'waiting' && waiting.push(event),
  });
  const streams = Object.fromEntries(kinds.map(({ name, defaultStream }) => [name, defaultStream]));
  const operator = createOperator({ outbox, log, holds: () => [] });
  const { token = null, metricsToken = null } = options;
  const admin = { host: '127.0.0.1', port: 0, token, metricsToken };
  const edge = await startEdge();
  t.after(() => edge.server.stop(0));
  const server = createAdminServer({
    ...wellHealth,
    stats: () => outbox.stats(),
    ...edge.server,
    ...{ admin, operator, storeId: 'a-store', clock, log, streams },
    retry: async () => [],
    expose: async () => ({ contentType: 'text/plain', body: '' }),
    history: edge.history,
    ...options,
  });
  const { port } = await server.start();
  t.after(() => server.stop(0));
  const headersOf = (headers: OutgoingHttpHeaders = {}): OutgoingHttpHeaders => ({
    ...(options.token !== undefined && withToken),
    ...headers,
  });
  return {
    port,
    outbox,
    clock,
    waiting,
    logText: () => lines.join(''),
    get: (path, headers) => send(port, { method: 'GET', path, headers: headersOf(headers) }),
    post: (path, body, headers) =>
      send(port, {
        method: 'POST',
        path,
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: headersOf({ 'content-type': 'application/json', ...headers }),
      }),
  };
}
