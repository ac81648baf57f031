/**
 * An Azure for measuring, as a process of its own: it gives tokens, and answers uploads after a fixed time. It looks into
 * the calls only when it is told to, since its work runs on the same processors as what is measured. The demo's emulator
 * (src/emulator/) and that of the tests (test/support/azure/) read and keep every row.
 */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { gunzipSync } from 'node:zlib';
import { makeCertificate } from '../src/emulator/certificate.ts';

/** What the parent says. `isDown`: answer 503. `looksInside`: note when each event_id arrived. */
export interface AzureOrder {
  readonly isDown?: boolean;
  readonly looksInside?: boolean;
  readonly report?: true;
}

/** What was taken since the last report. Times are `performance.timeOrigin + performance.now()`. */
export interface AzureReport {
  /** Before compression, as Azure counts them. */
  readonly takenBytes: number;
  /** Of the first call. */
  readonly firstBytes: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** The largest call as it came, in base64. */
  readonly largestBody: string;
  /** 0 unless it looks inside. */
  readonly rows: number;
  /** event_id and when it first arrived; empty unless it looks inside. */
  readonly arrivals: readonly (readonly [string, number])[];
}

export interface AzureReady {
  readonly port: number;
  readonly caPem: string;
}

const LATENCY_MS = 50;
const settings = { isDown: false, looksInside: false };
const NOTHING_TAKEN = { takenBytes: 0, firstBytes: 0, firstAtMs: 0, lastAtMs: 0, rows: 0 };
const state: typeof NOTHING_TAKEN & { largestBody: Buffer } = { ...NOTHING_TAKEN, largestBody: Buffer.alloc(0) };
const arrivals = new Map<string, number>();

function take(body: Buffer): void {
  const now = performance.timeOrigin + performance.now();
  // A gzip file ends with the size of what was compressed (RFC 1952, ISIZE).
  const bytes = body.readUInt32LE(body.length - 4);
  if (state.takenBytes === 0) Object.assign(state, { firstBytes: bytes, firstAtMs: now });
  state.takenBytes += bytes;
  state.lastAtMs = now;
  if (body.length > state.largestBody.length) state.largestBody = body;
  if (settings.looksInside) look(body, now);
}

function look(body: Buffer, now: number): void {
  const rows = JSON.parse(gunzipSync(body).toString()) as { event_id: string }[];
  state.rows += rows.length;
  for (const { event_id: id } of rows) if (!arrivals.has(id)) arrivals.set(id, now);
}

const certificate = await makeCertificate(['localhost', '127.0.0.1']);
const server = createServer({ key: certificate.keyPem, cert: certificate.certPem }, (request, response) => {
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`;
  const json = (body: object): void =>
    void response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  if (request.url?.includes('openid-configuration')) {
    const tenant = `${origin}/${request.url.split('/')[1]}`;
    json({
      issuer: `${tenant}/v2.0`,
      token_endpoint: `${tenant}/oauth2/v2.0/token`,
      authorization_endpoint: `${tenant}/oauth2/v2.0/authorize`,
      jwks_uri: `${tenant}/keys`,
    });
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.url?.includes('/token')) {
      json({ token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: 'bench' });
      return;
    }
    const body = Buffer.concat(chunks);
    setTimeout(() => {
      response.statusCode = settings.isDown ? 503 : 204;
      if (!settings.isDown) take(body);
      response.end();
    }, LATENCY_MS);
  });
});

process.on('message', (order: AzureOrder) => {
  const { report, ...changed } = order;
  Object.assign(settings, changed);
  if (report !== true) return;
  const largestBody = state.largestBody.toString('base64');
  process.send?.({ ...state, largestBody, arrivals: [...arrivals] } satisfies AzureReport);
  Object.assign(state, NOTHING_TAKEN, { largestBody: Buffer.alloc(0) });
  arrivals.clear();
});
process.on('disconnect', () => process.exit());
server.listen(0, () => {
  process.send?.({ port: (server.address() as AddressInfo).port, caPem: certificate.caPem } satisfies AzureReady);
});
