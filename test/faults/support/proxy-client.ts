import { type Agent, type RequestOptions, request } from 'node:https';

export interface ProxyAnswer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

export interface ProxyCall {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** The address that it calls from, one of 127.0.0.0/8. */
  readonly from?: string;
  readonly agent?: Agent;
}

/** One HTTPS request to a proxy of the tests; by default on a connection of its own. */
export function callProxy(port: number, call: ProxyCall): Promise<ProxyAnswer> {
  const { method = 'POST', path = '/apono/webhook', headers = {}, body = '' } = call;
  const bytes = Buffer.from(body);
  const length = bytes.length > 0 && !('transfer-encoding' in headers) ? { 'content-length': bytes.length } : {};
  const options: RequestOptions = {
    host: '127.0.0.1',
    port,
    method,
    path,
    servername: 'localhost',
    // Its certificate is of an authority that nobody knows; what is tested is behind it.
    rejectUnauthorized: false,
    agent: call.agent ?? false,
    headers: { host: 'localhost', ...length, ...headers },
    ...(call.from !== undefined && { localAddress: call.from }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    outgoing.on('error', reject).end(bytes);
  });
}
