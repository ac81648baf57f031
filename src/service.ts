import { createTokens } from './azure/credential.ts';
import { explainUpload } from './azure/fixes.ts';
import { createIngestion } from './azure/ingestion.ts';
import { databaseScope, ingestionScope } from './config/clouds.ts';
import type { Config } from './config/config.ts';
import { createCredentialEnd } from './config/credential.ts';
import { createDelivery, type Delivery } from './delivery/delivery.ts';
import type { Ingestion } from './delivery/ingestion.ts';
import { logDelivery } from './delivery/log.ts';
import type { Clock } from './ground/clock.ts';
import type { Logger } from './ground/log.ts';
import { createHeartbeat } from './heartbeat/heartbeat.ts';
import { createAdminServer } from './http/admin/server.ts';
import { credentialProblems, troubleProblems } from './http/health-problems.ts';
import type { Listener } from './http/listener.ts';
import { createServer } from './http/server.ts';
import { kinds } from './kinds/registry.ts';
import { createMetrics, type Metrics } from './metrics/metrics.ts';
import { diskSpace } from './metrics/scrape.ts';
import { type OpenedOutbox, openOutbox } from './outbox/open.ts';
import { createOperator } from './outbox/operator-local.ts';

/** Of the time to stop: what stays for writing down what the last uploads did, and closing the database. */
const CLOSE_RESERVE_MS = 2_000;

export interface ServiceOptions {
  readonly config: Config;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** The service cannot go on and has said why in the log: stop it. */
  readonly onFatal: (error: Error) => void;
}

export interface Service {
  /** The port on which it takes webhooks. */
  readonly port: number;
  /** The port of metrics and the admin API; null: it could not be had, see `startAdmin`. */
  readonly adminPort: number | null;
  /**
   * Readiness off, listener closed, requests in flight answered, running uploads finished or given back, database
   * closed, all within SHUTDOWN_TIMEOUT_MS as far as it is in our hands.
   */
  stop(): Promise<void>;
}

/**
 * Puts the parts together and starts them, outbox first: nothing is taken before it can be kept.
 * Rejects with an OutboxStartError, or with Node's error where it cannot listen.
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { config, clock, log } = options;
  const metrics = createMetrics({ version: options.version, clock, kinds, streams: config.ingestion.streams });
  const databaseTokens = createTokens(config, { scope: databaseScope(config.cloud), clock, log });
  // Nothing is sent before delivery has started, and it looks for everything then.
  let notify: Delivery['notify'] = () => undefined;
  const outbox = await openOutbox({
    config,
    databaseToken: async () => (await databaseTokens.getToken()).token,
    clock,
    log,
    onFatal: options.onFatal,
    onEvent(event) {
      metrics.onStore(event);
      if (event.type === 'waiting') notify(event.kind, event.bytes);
    },
  }).catch((error: unknown) => {
    databaseTokens.close();
    throw error;
  });
  const scope = ingestionScope(config.cloud);
  const tokens = createTokens(config, { scope, clock, log, onEvent: metrics.onTokenEvent });
  const { endpoint, ruleId } = config.ingestion;
  const ingestion = createIngestion({
    endpoint,
    ruleId,
    cloud: config.cloud,
    tokens,
    proxy: config.proxy,
    clock,
  });
  const delivery = createServiceDelivery(options, { outbox, ingestion, metrics });
  const credentialEndsAt = createCredentialEnd(config.credential);
  const heartbeat = createHeartbeat({
    ...options,
    outbox,
    ingestion,
    totals: metrics.totals,
    onHeartbeat: metrics.onHeartbeat,
    credentialEndsAt,
  });
  metrics.watch({
    stats: () => outbox.stats(),
    holds: delivery.holds,
    disk: () => diskOf(outbox),
    isOutboxDamaged: () => outbox.damagedFile !== null,
    credentialEndsAt,
  });
  let isStarted = false;
  const server = createServer({
    ...config.webhook,
    webhook: config.webhook,
    version: options.version,
    clock,
    log,
    kinds: kinds.map(({ name }) => name),
    receive: outbox.receive,
    health: {
      stats: () => outbox.stats(),
      holds: delivery.holds,
      lastDelivery: delivery.lastDelivery,
      tokenExpiresAt: () => tokens.expiresAt,
      damagedFile: () => outbox.damagedFile,
      heartbeat: () => heartbeat?.status() ?? null,
      problems: () => [
        ...troubleProblems(outbox.trouble, outbox.folder !== null, clock.now()),
        ...credentialProblems(credentialEndsAt(), clock.now()),
      ],
      started: () => isStarted,
    },
    onRequest: metrics.onRequest,
    limits: { keepAliveTimeoutMs: config.webhook.keepAliveMs },
  });
  const adminServer = createServiceAdmin(options, { outbox, delivery, metrics });
  let port: number;
  let adminPort: number | null;
  try {
    // The webhook port last: who can reach it gets a 2xx.
    adminPort = await startAdmin(adminServer, config, log);
    ({ port } = await server.start());
  } catch (error) {
    await adminServer.stop(0);
    await outbox.close();
    databaseTokens.close();
    throw error;
  }
  delivery.start();
  notify = delivery.notify;
  heartbeat?.start();
  isStarted = true;
  return {
    port,
    adminPort,
    async stop() {
      const limitMs = Math.max(0, config.shutdownTimeoutMs - CLOSE_RESERVE_MS);
      const abort = new AbortController();
      const cancelAbort = clock.setTimer(limitMs, () => abort.abort());
      await Promise.all([
        server.stop(limitMs),
        adminServer.stop(limitMs),
        delivery.stop(abort.signal),
        heartbeat?.stop(),
      ]);
      cancelAbort();
      await outbox.close();
      tokens.close();
      databaseTokens.close();
    },
  };
}

/**
 * Null where nobody chose the port and another program has it (9090 is Prometheus' own default too): webhooks are worth
 * more than metrics, so that is an error in the log and no failed start. A port that was set must be there.
 */
async function startAdmin(admin: Listener, config: Config, log: Logger): Promise<number | null> {
  try {
    return (await admin.start()).port;
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    if (!isTaken || !config.admin.isDefaultPort) throw error;
    const { host, port } = config.admin;
    log.error(
      { code: 'admin_port_taken', host, port },
      'no metrics and no admin API: another program has the port, set ADMIN_PORT',
    );
    return null;
  }
}

function createServiceDelivery(
  { config, clock, log }: ServiceOptions,
  parts: { outbox: OpenedOutbox; ingestion: Ingestion; metrics: Metrics },
): Delivery {
  const { outbox, ingestion, metrics } = parts;
  const { endpoint, ruleId, streams } = config.ingestion;
  return createDelivery({
    kinds,
    streams,
    outbox,
    ingestion,
    explain(result, kind, code) {
      const { streamVariable } = kind;
      const stream = streams[kind.name] ?? kind.defaultStream;
      return explainUpload(result, { stream, streamVariable, ruleId, endpoint, credential: config.credential }, code);
    },
    clock,
    random: Math.random,
    onEvent(event) {
      logDelivery(log, event);
      metrics.onDelivery(event);
    },
    flushIntervalMs: config.flushIntervalMs,
    pace: outbox.pace,
  });
}

function createServiceAdmin(
  { config, clock, log }: ServiceOptions,
  parts: { outbox: OpenedOutbox; delivery: Delivery; metrics: Metrics },
): Listener {
  const { outbox, delivery } = parts;
  const { expose, onRequest } = parts.metrics;
  const operator = createOperator({ outbox, log, holds: delivery.holds });
  return createAdminServer({ admin: config.admin, operator, storeId: outbox.storeId, expose, onRequest, clock, log });
}

/** Rejects for an outbox that is not on this machine: its disk is its server's. */
async function diskOf({ folder }: OpenedOutbox): ReturnType<typeof diskSpace> {
  if (folder === null) throw new Error('The outbox is on another machine');
  return diskSpace(folder);
}
