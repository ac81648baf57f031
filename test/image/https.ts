import { request } from 'node:https';

export interface HttpsCall {
  readonly path: string;
  readonly caPem: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpsAnswer {
  readonly status: number;
  readonly body: string;
}

/** One request to https://localhost, whose certificate must be good. The path goes out as it is, dots and all. */
export function callHttps({ path, caPem, method = 'POST', headers = {}, body = '' }: HttpsCall): Promise<HttpsAnswer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: 443, servername: 'localhost', path, method, ca: caPem, agent: false };
    const sent = request({ ...options, headers: { host: 'localhost', ...headers } }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    sent.on('error', reject);
    sent.setTimeout(60_000, () => sent.destroy(new Error(`no answer to ${method} ${path} within 60 s`)));
    sent.end(body);
  });
}
