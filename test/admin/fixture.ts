import type { OutgoingHttpHeaders } from 'node:http';
import type { TestContext } from 'node:test';
import { createLogger } from '../../src/ground/log.ts';
import { type AdminOptions, createAdminServer } from '../../src/http/admin/server.ts';
import { createUnderstand } from '../../src/intake/understand.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { createOperator } from '../../src/outbox/operator-local.ts';
import type { SqliteOutbox } from '../../src/outbox/sqlite/outbox.ts';
import { type Reply, send } from '../http/edge.ts';
import { openSqliteFixture } from '../outbox/sqlite-fixture.ts';
import type { ManualClock } from '../support/manual-clock.ts';

export const adminToken = 'the-token-of-the-operator';
export const metricsToken = 'the-token-of-prometheus';
export const withToken = { authorization: `Bearer ${adminToken}` };

export interface Admin {
  readonly port: number;
  readonly outbox: SqliteOutbox;
  readonly clock: ManualClock;
  /** What delivery was told of. */
  readonly stored: (readonly [kind: string, bytes: number])[];
  logText(): string;
  get(path: string, headers?: OutgoingHttpHeaders): Promise<Reply>;
  post(path: string, body: unknown, headers?: OutgoingHttpHeaders): Promise<Reply>;
}

/** The real admin port over a real SQLite outbox; both end after the test. */
export async function startAdmin(
  t: TestContext,
  options: Partial<AdminOptions> & { token?: string; metricsToken?: string } = {},
): Promise<Admin> {
  const fixture = await openSqliteFixture();
  const { outbox, clock } = fixture;
  const lines: string[] = [];
  const log = createLogger('debug', { write: (line: string) => void lines.push(line) });
  const stored: (readonly [string, number])[] = [];
  const operator = createOperator({
    outbox,
    understand: createUnderstand({
      kinds,
      streams: { request: 'Custom-AponoAccessRequests_CL' },
      escaping: 'auto',
      log,
    }),
    log,
    holds: () => [],
    onStored: (kind, bytes) => stored.push([kind, bytes]),
  });
  const { token = null, metricsToken = null } = options;
  const admin = { host: '127.0.0.1', port: 0, token, metricsToken };
  const server = createAdminServer({ admin, operator, storeId: 'a-store', clock, log, ...options });
  const { port } = await server.start();
  t.after(async () => {
    await server.stop(0);
    await fixture.cleanup();
  });
  const headersOf = (headers: OutgoingHttpHeaders = {}): OutgoingHttpHeaders => ({
    ...(options.token !== undefined && withToken),
    ...headers,
  });
  return {
    port,
    outbox,
    clock,
    stored,
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
