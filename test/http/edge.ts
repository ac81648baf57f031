import assert from 'node:assert/strict';
import { type OutgoingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import { systemClock } from '../../src/ground/clock.ts';
import { createLogger } from '../../src/ground/log.ts';
import type { RequestRecord } from '../../src/http/exchange.ts';
import type { ServiceState } from '../../src/http/health.ts';
import { createHistory, type History } from '../../src/http/history.ts';
import { createServer, type ServerOptions } from '../../src/http/webhook.ts';
import type { ReceivedBody } from '../../src/intake/understand.ts';
import type { AcceptedEvent, OutboxStats, Receive, Received } from '../../src/outbox/port.ts';
import { eventually } from '../support/eventually.ts';
import { assertNothingPrivate } from '../support/log-secrets.ts';

export const secret = 'correct-horse-battery';
export const previousSecret = 'staple-of-yesterday';
export const bearer = { authorization: `Bearer ${secret}` };

export const emptyStats: OutboxStats = {
  waiting: {},
  dead: { count: 0, oldestReceivedAt: null },
  quarantined: { count: 0, oldestReceivedAt: null },
  bytes: { waiting: 0, dead: 0, quarantined: 0 },
  usedBytes: 4_096,
  logBytes: 0,
  maxBytes: 1_000_000,
  writable: true,
  problem: null,
};

export const wellHealth: ServiceState = {
  stats: async () => emptyStats,
  disk: async () => ({ freeBytes: 30, sizeBytes: 100 }),
  holds: () => [],
  retrying: () => [],
  outbox: { damagedFile: null, trouble: null, folder: '/data' },
  tokenExpiresAt: () => null,
  tokenObtainedAt: () => null,
  credentialEndsAt: () => null,
  heartbeat: () => null,
  secretProblems: () => [],
  started: () => true,
};

export function event(overrides: Partial<AcceptedEvent> = {}): AcceptedEvent {
  return {
    eventId: 'v1-abc',
    kind: 'request',
    action: 'Granted',
    rows: 1,
    hasInvalidFields: false,
    duplicate: false,
    firstStoredAt: Date.UTC(2026, 0, 2),
    ...overrides,
  };
}

export function accepted(events: readonly AcceptedEvent[]): Received {
  return { outcome: 'accepted', events, looksEscaped: false };
}

export interface Edge {
  readonly port: number;
  readonly server: ReturnType<typeof createServer>;
  readonly history: History;
  /** The bodies that got as far as the receiver. */
  readonly received: ReceivedBody[];
  readonly records: RequestRecord[];
  /** Everything that was logged, as text and parsed. */
  logText(): string;
  logs(): Record<string, unknown>[];
}

type EdgeOptions = Partial<Omit<ServerOptions, 'webhook'>> & { webhook?: Partial<ServerOptions['webhook']> };

/** The real edge on a real port; the receiver counts one row a byte unless another is given. */
export async function startEdge(options: EdgeOptions = {}): Promise<Edge> {
  const lines: string[] = [];
  const received: ReceivedBody[] = [];
  const records: RequestRecord[] = [];
  const receive: Receive = options.receive ?? (async ({ bytes }) => accepted([event({ rows: bytes.length })]));
  const { clock = systemClock } = options;
  // Without its timer, which would outlive the server.
  const history = createHistory({ ...wellHealth, folder: null, clock: { ...clock, setTimer: () => () => undefined } });
  const server = createServer({
    health: wellHealth,
    version: '1.2.3',
    kinds: ['request', 'audit'],
    clock,
    history,
    log: createLogger('debug', lineCollector(lines)),
    onRequest: (record) => records.push(record),
    ...options,
    receive: (body) => {
      received.push(body);
      return receive(body);
    },
    webhook: {
      host: '127.0.0.1',
      port: 0,
      keepAliveMs: 650_000,
      secret,
      previousSecret: null,
      maxBodyBytes: 5_242_880,
      allowedCidrs: [],
      trustProxy: ['loopback'],
      ...options.webhook,
    },
  });
  const { port } = await server.start();
  const logText = (): string => lines.join('');
  return { port, server, history, received, records, logText, logs: () => parseLines(logText()) };
}

function lineCollector(lines: string[]): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
}

function parseLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Runs `use` with an edge and stops it, whatever came of it; then nothing private may stand in its log. */
export async function withEdge(options: EdgeOptions, use: (edge: Edge) => Promise<void>): Promise<void> {
  const edge = await startEdge(options);
  try {
    await use(edge);
  } finally {
    await edge.server.stop(0);
  }
  assertNothingPrivate(edge.logText(), [secret, previousSecret]);
}

export interface Reply {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  /** The body as JSON; an empty object where it is none. */
  readonly json: Record<string, unknown>;
}

interface SendOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
}

/** One request on a connection of its own. */
export function send(port: number, options: SendOptions = {}): Promise<Reply> {
  const { method = 'POST', path = '/apono/webhook', body = '' } = options;
  // As bytes: next to a body that is a string, Node would send the headers as UTF-8 too, not byte for byte.
  const bytes = Buffer.from(body);
  const chunked = options.headers !== undefined && 'transfer-encoding' in options.headers;
  // Node leaves the length out for methods that seldom have a body.
  const length = bytes.length === 0 || chunked ? {} : { 'content-length': bytes.length };
  const headers = { ...length, ...options.headers };
  return new Promise((resolve, reject) => {
    const outgoing = request({ port, host: '127.0.0.1', method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: jsonOf(text) });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(bytes);
  });
}

/** With the right secret. */
export function post(port: number, body: string | Uint8Array, headers: OutgoingHttpHeaders = {}): Promise<Reply> {
  return send(port, { headers: { ...bearer, ...headers }, body });
}

function jsonOf(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** A connection of which a test writes the bytes itself. */
export interface RawConnection {
  readonly socket: Socket;
  /** All that came until now. */
  text(): string;
  /** Resolves when what came matches, rejects when the connection ends before. */
  until(pattern: RegExp): Promise<string>;
  /** Resolves when the connection has ended, by a reset too. Rejects when it has not after two minutes. */
  readonly closed: Promise<void>;
}

export function openRaw(port: number): RawConnection {
  const socket = connect({ port, host: '127.0.0.1' });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  // A reset is one way for a connection to end here.
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve, reject) => {
    const limit = setTimeout(() => {
      reject(new Error(`the connection is still open: ${JSON.stringify(text.slice(0, 500))}`));
      socket.destroy();
    }, 120_000);
    socket.once('close', () => {
      clearTimeout(limit);
      resolve();
    });
  });
  // Not every test waits for the end.
  closed.catch(() => undefined);
  const until = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        if (!pattern.test(text)) return;
        socket.off('data', check).off('close', onClose);
        resolve(text);
      };
      const onClose = (): void => reject(new Error(`closed before ${pattern}: ${JSON.stringify(text.slice(0, 500))}`));
      socket.on('data', check).on('close', onClose);
      check();
    });
  return { socket, text: () => text, until, closed };
}

/** The head of a webhook with the right secret. */
export function head(lines: readonly string[], method = 'POST', version = '1.1'): string {
  const start = `${method} /apono/webhook HTTP/${version}\r\nHost: proxy\r\nAuthorization: Bearer ${secret}\r\n`;
  return `${start}${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
}

export function assertProblem(reply: Reply, status: number, code: string): void {
  assert.equal(reply.status, status, reply.text);
  assert.match(String(reply.headers['content-type']), /^application\/problem\+json/);
  const { type, title, detail, request_id: requestId } = reply.json;
  assert.equal(reply.json['status'], status);
  assert.equal(reply.json['code'], code);
  assert.equal(type, `urn:apono-sentinel:problem:${code}`);
  assert.equal(requestId, reply.headers['x-request-id']);
  for (const text of [title, detail]) assert.ok(typeof text === 'string' && text !== '');
  assert.doesNotMatch(reply.text, /\bat .*\.ts|node:internal/, 'no stack trace');
}

export const condition = (holds: () => boolean): Promise<void> => eventually(holds);

/** A whole one, ready to be written. */
export const webhook = `${head(['Content-Length: 2'])}{}`;

/** A receiver that answers when the test says so. */
export function heldReceiver(): { receive: () => Promise<Received>; waiting: number; release(): void } {
  const resolvers: ((received: Received) => void)[] = [];
  return {
    receive: () => new Promise((resolve) => resolvers.push(resolve)),
    get waiting() {
      return resolvers.length;
    },
    release() {
      for (const resolve of resolvers.splice(0)) resolve(accepted([event()]));
    },
  };
}

/** How often it occurs. */
export function count(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].length;
}
