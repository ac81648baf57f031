import type { IncomingHttpHeaders } from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { Emulator } from '../support/azure/emulator.ts';
import { requestStream } from '../support/emulator.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly agent?: https.Agent;
  /** Path and query as they are to be sent; a URL would be parsed, and some characters written anew. */
  readonly path?: string;
  /** Added to those that the process trusts. */
  readonly ca?: string;
}

/** A plain HTTPS request; rejects when no whole answer comes. */
export function call(url: string, options: CallOptions = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, ca, path, agent = false } = options;
  const { hostname } = new URL(url);
  // Else Node takes the name to verify from the Host header, which a test may forge. An IP address is no server name.
  const tlsOptions = { ...(isIP(hostname) === 0 ? { servername: hostname } : {}), ...(ca === undefined ? {} : { ca }) };
  return new Promise((resolve, reject) => {
    const req = https.request(
      url,
      { method, headers, agent, ...tlsOptions, ...(path !== undefined && { path }) },
      (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('error', reject);
        res.on('end', () => {
          resolve({ status: res.statusCode ?? 0, headers: res.headers, text: Buffer.concat(chunks).toString('utf8') });
        });
      },
    );
    req.on('error', reject);
    req.end(body);
  });
}

export interface TokenBody {
  readonly access_token: string;
  readonly expires_in: number;
  readonly refresh_in?: number;
  readonly error: string;
  readonly error_description: string;
  readonly error_codes: readonly number[];
}

export const ingestionScope = 'https://monitor.azure.com/.default';
export const managementScope = 'https://management.azure.com/.default';

export async function requestToken(
  emulator: Emulator,
  fields: Record<string, string | undefined> = {},
  tenant = emulator.tenantId,
): Promise<{ answer: Answer; body: TokenBody }> {
  const form = new URLSearchParams();
  const all = {
    grant_type: 'client_credentials',
    client_id: emulator.clientId,
    client_secret: emulator.clientSecret,
    scope: ingestionScope,
    ...fields,
  };
  for (const [name, value] of Object.entries(all)) if (value !== undefined) form.set(name, value);
  const answer = await call(`${emulator.origin}/${tenant}/oauth2/v2.0/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
  });
  return { answer, body: JSON.parse(answer.text) as TokenBody };
}

export async function bearer(emulator: Emulator, scope = ingestionScope): Promise<string> {
  const { body } = await requestToken(emulator, { scope });
  return `Bearer ${body.access_token}`;
}

export interface PostOptions {
  readonly stream?: string;
  readonly ruleId?: string;
  readonly query?: string;
  readonly authorization?: string | null;
  readonly headers?: Record<string, string>;
  readonly gzip?: boolean;
  readonly method?: string;
}

/** Posts to the ingestion endpoint; a body that is neither text nor bytes goes as JSON. */
export async function post(emulator: Emulator, body: unknown, options: PostOptions = {}): Promise<Answer> {
  const { stream = requestStream, ruleId = emulator.ruleId, query = '?api%2Dversion=2023-01-01' } = options;
  const authorization = options.authorization === undefined ? await bearer(emulator) : options.authorization;
  const raw = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return call(`${emulator.origin}/dataCollectionRules/${ruleId}/streams/${encodeURIComponent(stream)}${query}`, {
    method: options.method ?? 'POST',
    headers: {
      'content-type': 'application/json',
      ...(authorization === null ? {} : { authorization }),
      ...(options.gzip === true ? { 'content-encoding': 'gzip' } : {}),
      ...options.headers,
    },
    body: options.gzip === true ? gzipSync(raw) : raw,
  });
}

export function errorOf(answer: Answer): { code: string | null; message: string } {
  return (JSON.parse(answer.text) as { error: { code: string | null; message: string } }).error;
}
