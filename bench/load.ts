/**
 * A load generator that costs little beside what it loads: prepared requests over plain keep-alive sockets, one at a
 * time on each, and no more of an answer read than its status and its end.
 */
import net from 'node:net';

export interface Target {
  readonly port: number;
  /** POST unless it is given. */
  readonly method?: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Answered {
  /** From when the request was due to the end of its answer, in milliseconds. */
  readonly latenciesMs: readonly number[];
  readonly durationMs: number;
}

/** Makes the nth body. Text, but for large ones, whose encoding would hold up the other senders. */
export type Bodies = (index: number) => string | Buffer;

const HEAD_END = '\r\n\r\n';

/** One connection. `send` resolves when the whole answer has come, and rejects unless it is a 2xx. */
class Connection {
  readonly #socket: net.Socket;
  #received = '';
  #waiting: PromiseWithResolvers<string> | null = null;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (chunk: string) => this.#receive(chunk));
    socket.on('error', (error) => this.#waiting?.reject(error));
    socket.on('close', () => this.#waiting?.reject(new Error('the connection was closed')));
  }

  static async open(port: number): Promise<Connection> {
    const socket = net.connect({ port, host: '127.0.0.1' });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Connection(socket);
  }

  /** The body of the answer. */
  send({ port, method = 'POST', path, headers }: Target, body: string | Buffer): Promise<string> {
    this.#waiting = Promise.withResolvers();
    const lines = Object.entries({ host: `127.0.0.1:${port}`, 'content-type': 'application/json', ...headers });
    const fields = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const head = `${method} ${path} HTTP/1.1\r\n${fields}content-length: ${Buffer.byteLength(body)}${HEAD_END}`;
    if (typeof body === 'string') this.#socket.write(head + body);
    else this.#socket.write(Buffer.concat([Buffer.from(head), body]));
    return this.#waiting.promise;
  }

  close(): void {
    this.#waiting = null;
    this.#socket.destroy();
  }

  #receive(chunk: string): void {
    this.#received += chunk;
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd === -1) return;
    const head = this.#received.slice(0, headEnd);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    const end = headEnd + HEAD_END.length + length;
    if (this.#received.length < end) return;
    const body = this.#received.slice(headEnd + HEAD_END.length, end);
    this.#received = this.#received.slice(end);
    if (/^HTTP\/1\.1 2/.test(head)) this.#waiting?.resolve(body);
    else this.#waiting?.reject(new Error(`${head.split('\r\n')[0]}: ${body}`));
  }
}

/** As fast as the answers come, over so many connections in all, until the time is over or so many were sent. */
export async function closedLoop(
  targets: Target | readonly Target[],
  bodies: Bodies,
  options: { readonly connections: number; readonly durationMs: number; readonly requests?: number | undefined },
): Promise<Answered> {
  const { connections, durationMs, requests = Number.POSITIVE_INFINITY } = options;
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  let index = 0;
  async function sender(target: Target): Promise<void> {
    const connection = await Connection.open(target.port);
    while (performance.now() - startedAt < durationMs && index < requests) {
      const dueAt = performance.now();
      await connection.send(target, bodies(index++));
      latenciesMs.push(performance.now() - dueAt);
    }
    connection.close();
  }
  const all = [targets].flat();
  const turns = Array.from({ length: Math.ceil(connections / all.length) }, () => all).flat();
  await Promise.all(turns.slice(0, connections).map(sender));
  return { latenciesMs, durationMs: performance.now() - startedAt };
}

/**
 * So many a second, whether answers come or not. Latency counts from when a request was due, so that one slow answer
 * shows in all that had to wait for it.
 */
export async function openLoop(
  target: Target,
  bodies: Bodies,
  options: {
    readonly perSecond: number;
    readonly durationMs: number;
    readonly connections: number;
  },
): Promise<Answered> {
  const { perSecond, durationMs, connections } = options;
  const latenciesMs: number[] = [];
  const total = Math.floor((perSecond * durationMs) / 1000);
  const free = await Promise.all(Array.from({ length: connections }, () => Connection.open(target.port)));
  const startedAt = performance.now();
  let index = 0;
  async function sender(connection: Connection): Promise<void> {
    while (index < total) {
      const own = index++;
      const dueAt = startedAt + (own * 1000) / perSecond;
      const early = dueAt - performance.now();
      if (early > 1) await new Promise((resolve) => setTimeout(resolve, early));
      // A timer may fire a little early.
      const fromMs = Math.min(dueAt, performance.now());
      await connection.send(target, bodies(own));
      latenciesMs.push(performance.now() - fromMs);
    }
    connection.close();
  }
  await Promise.all(free.map(sender));
  return { latenciesMs, durationMs: performance.now() - startedAt };
}

/** Each of the bodies once, over so many connections. */
export async function sendAll(target: Target, bodies: readonly string[], connections: number): Promise<void> {
  let index = 0;
  async function sender(): Promise<void> {
    const connection = await Connection.open(target.port);
    for (let body = bodies[index++]; body !== undefined; body = bodies[index++]) {
      await connection.send(target, body);
    }
    connection.close();
  }
  await Promise.all(Array.from({ length: connections }, sender));
}
