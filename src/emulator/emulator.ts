import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { azureError, emulateAzure, type Reply, readRows, roleMissing, type Upload } from './azure.ts';
import { makeCertificate } from './certificate.ts';

/** What may be wrong with the emulated ingestion, and what that looks like. Sign-in works all the time. */
export const faults = {
  '403': 'the role is missing',
  '429': 'the quota is used up: 429 with Retry-After: 5',
  down: 'an outage: 503',
  lossy: 'every other call of a stream is cut after its rows were stored',
  refused: 'rows of rejected requests are refused: 400',
  slow: 'each answer takes 5 seconds',
} as const;

export type Fault = keyof typeof faults;

export type Emulator = Awaited<ReturnType<typeof startEmulator>>;

interface EmulatorOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** What is wrong from the start. `POST /fault/<name>` changes it, and `POST /fault/none` ends it. */
  readonly fault?: Fault | null;
  readonly onAnswer?: (answered: Answered) => void;
}

/** One call and what became of it. */
export interface Answered {
  readonly method: string;
  readonly path: string;
  /** Null when the connection was cut. */
  readonly status: number | null;
  /** Null: it was no call of the ingestion. */
  readonly upload: Upload | null;
  /** What met an upload. */
  readonly fault: Fault | null;
}

/**
 * A local Azure over HTTPS: Entra's token endpoint and Logs Ingestion, with one client and one data collection rule. The
 * rule has these streams, by name (`Custom-…`), and the client may send to it. Rejects when the port is taken.
 */
export async function startEmulator(
  streams: Parameters<typeof emulateAzure>[0],
  { port = 0, fault: firstFault = null, onAnswer }: EmulatorOptions = {},
) {
  const azure = emulateAzure(streams);
  let fault = firstFault;
  let faultyCalls = 0;
  /** Those whose last call was cut by `lossy`. */
  const cutStreams = new Set<string>();
  const { keyPem, certPem, caPem } = await makeCertificate(['localhost', '127.0.0.1', '::1']);
  // Azure keeps idle connections for minutes; Node's 5 s would cut them under a client that is about to use one.
  const tls = { key: keyPem, cert: certPem, keepAliveTimeout: 120_000 };
  const server = createServer(tls, (req, res) => void handle(req, res));
  await once(server.listen(port, '127.0.0.1'), 'listening');
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`;

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      const { method = '', headers, url = '' } = req;
      const path = url.replace(/\?.*/s, '');
      const body = Buffer.concat(await req.toArray());
      const [, ruleId = '', stream] = /^\/dataCollectionRules\/([^/]+)\/streams\/([^/]+)$/.exec(path) ?? [];
      const rows = () => readRows(body, headers['content-encoding']);
      const upload = stream === undefined ? null : { ruleId, stream, headers, rows: rows() };
      const met = upload && fault;
      const reply = upload === null ? answer(method, path, body) : await ingest(upload, met);
      if (reply === null) res.destroy();
      else send(res, reply);
      onAnswer?.({ method, path, status: reply?.status ?? null, upload, fault: met });
    } catch (error) {
      // Either the client went away before all of its body was read, or the emulator has a defect.
      if (!res.destroyed) send(res, azureError(500, 'EmulatorDefect', String(error)));
    }
  }

  function answer(method: string, path: string, body: Buffer): Reply {
    const [, first = '', ...rest] = path.split('/');
    const [name = ''] = rest;
    if (method === 'POST' && first === 'fault' && rest.length === 1) return changeFault(name);
    const route = `${method} ${rest.join('/')}`;
    if (route === 'GET v2.0/.well-known/openid-configuration') return azure.openid(origin, first);
    if (route === 'POST oauth2/v2.0/token') return azure.token(new URLSearchParams(body.toString()));
    return azureError(404, 'NotFound', 'The emulator has nothing at this path.');
  }

  /** `POST /fault/<name>`, which is the emulator's own: Azure has no such path. */
  function changeFault(name: string): Reply {
    if (name !== 'none' && !Object.hasOwn(faults, name)) {
      return azureError(400, 'UnknownFault', `The faults are none, ${Object.keys(faults).join(', ')}.`);
    }
    fault = name === 'none' ? null : (name as Fault);
    return { status: 200, body: { fault: name } };
  }

  /** Does what Azure does with rows, or what the fault makes of it; null when the connection is to be cut. */
  async function ingest(upload: Upload, met: Fault | null): Promise<Reply | null> {
    if (met !== null) faultyCalls += 1;
    switch (met) {
      case null:
        return azure.ingest(upload);
      case '403':
        return roleMissing();
      case '429': {
        const message = 'The request quota of the data collection rule is exceeded.';
        return azureError(429, 'TooManyRequests', message, { 'retry-after': '5' });
      }
      case 'down':
        return azureError(503, 'ServiceUnavailable', 'The service is temporarily unavailable.');
      case 'lossy': {
        const reply = azure.ingest(upload);
        if (cutStreams.delete(upload.stream)) return reply;
        cutStreams.add(upload.stream);
        return null;
      }
      case 'refused':
        if (!upload.rows?.some(({ event_action: action }) => action === 'Rejected')) return azure.ingest(upload);
        return azureError(400, 'InvalidPayload', 'A row is of a rejected request, which the emulator refuses now.');
      case 'slow':
        // It keeps no process that has ended otherwise.
        await delay(5_000, undefined, { ref: false });
        return azure.ingest(upload);
    }
  }

  return {
    origin,
    /** The variables that point the service at the emulator. */
    environment: { LOGS_INGESTION_ENDPOINT: origin, ...azure.environment, AZURE_AUTHORITY_HOST: origin },
    /** The CA certificate that the service must trust, for a file that NODE_EXTRA_CA_CERTS names. */
    caPem,
    rows: azure.rows,
    allRows: azure.allRows,
    /** Resolves when so many rows are stored in all. Rejects if that takes longer than `limitMs`. */
    async waitForRows(count: number, limitMs?: number): Promise<void> {
      const signal = limitMs === undefined ? undefined : AbortSignal.timeout(limitMs);
      while (azure.allRows().length < count) {
        await once(azure.arrivals, 'rows', { signal }).catch((cause: unknown) => {
          throw new Error(`only ${azure.allRows().length} of ${count} rows arrived within ${limitMs} ms`, { cause });
        });
      }
    },
    faultyCalls: () => faultyCalls,
    heal(): void {
      fault = null;
    },
    /** Ends every connection at once; resolves when the port is free. */
    async stop(): Promise<void> {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function send(res: ServerResponse, { status, headers, body }: Reply): void {
  const type = body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' };
  // The line break is for the terminal that `curl` prints it on.
  res.writeHead(status, { ...type, ...headers }).end(body === undefined ? undefined : `${JSON.stringify(body)}\n`);
}
