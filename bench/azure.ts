/**
 * An Azure for measuring, as a process of its own: tokens, and uploads that are answered after a fixed time. It looks
 * into the calls only when it is told to, since what it costs runs on the same processors as what is measured. The demo's
 * emulator (src/emulator/) and the tests' (test/support/azure/) check and keep everything.
 */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { gunzipSync } from 'node:zlib';
import { makeCertificate } from '../src/emulator/certificate.ts';

/** What the parent says. `isDown`: 503. `looksInside`: note when each event_id arrived. */
export interface AzureOrder {
  readonly latencyMs?: number;
  readonly isDown?: boolean;
  readonly looksInside?: boolean;
  readonly report?: true;
}

export interface AzureReport {
  readonly calls: number;
  readonly bytes: number;
  readonly rows: number;
  /** event_id and when it first arrived, as `performance.timeOrigin + performance.now()`; empty unless it looks inside. */
  readonly arrivals: readonly (readonly [string, number])[];
}

export interface AzureReady {
  readonly port: number;
  readonly caPem: string;
}

const state = { latencyMs: 50, isDown: false, looksInside: false, calls: 0, bytes: 0, rows: 0 };
const arrivals = new Map<string, number>();

function look(body: Buffer): void {
  const now = performance.timeOrigin + performance.now();
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
      response.statusCode = state.isDown ? 503 : 204;
      if (!state.isDown) {
        state.calls++;
        state.bytes += body.length;
        if (state.looksInside) look(body);
      }
      response.end();
    }, state.latencyMs);
  });
});

process.on('message', (order: AzureOrder) => {
  const { report, ...settings } = order;
  Object.assign(state, settings);
  if (report !== true) return;
  const { calls, bytes, rows } = state;
  process.send?.({ calls, bytes, rows, arrivals: [...arrivals] } satisfies AzureReport);
  Object.assign(state, { calls: 0, bytes: 0, rows: 0 });
  arrivals.clear();
});
process.on('disconnect', () => process.exit());
server.listen(0, () => {
  process.send?.({ port: (server.address() as AddressInfo).port, caPem: certificate.caPem } satisfies AzureReady);
});
