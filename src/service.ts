import { statfs } from 'node:fs/promises';
import { createTokens } from './azure/credential.ts';
import { explainUpload } from './azure/fixes.ts';
import { createIngestion } from './azure/ingestion.ts';
import { databaseScope, ingestionScope } from './config/clouds.ts';
import type { Config } from './config/config.ts';
import { createCredentialEnd } from './config/credential.ts';
import type { Secrets } from './config/secrets.ts';
import { createDelivery } from './delivery/delivery.ts';
import { logDelivery } from './delivery/event.ts';
import { type Clock, createBoundedRead } from './ground/clock.ts';
import type { Logger } from './ground/log.ts';
import { createHeartbeat } from './heartbeat/heartbeat.ts';
import { createAdminServer } from './http/admin/server.ts';
import type { ServiceState } from './http/health.ts';
import { createHistory } from './http/history.ts';
import type { Listener } from './http/listener.ts';
import { createServer } from './http/webhook.ts';
import { kinds } from './kinds/registry.ts';
import { createMetrics } from './metrics/metrics.ts';
import { type OpenedOutbox, openOutbox } from './outbox/open.ts';
import { createOperator } from './outbox/operator-local.ts';
import { STATS_LIMIT_MS } from './outbox/port.ts';

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

export type Service = Awaited<ReturnType<typeof startService>>;

/**
 * Puts the parts together and starts them, outbox first: nothing is taken before it can be kept.
 * Rejects with an OutboxStartError, or with a ListenError.
 */
export async function startService(options: ServiceOptions) {
  const { config, clock, log } = options;
  const { endpoint, ruleId, streams } = config.ingestion;
  const { cloud, proxy } = config;
  // Copies that `useSecrets` changes: each part reads a secret at the moment when it needs it.
  const webhook = { ...config.webhook };
  const admin = { ...config.admin };
  const credential = { ...config.credential };
  // What was opened is closed in the reverse order, at the end of the service or when the start fails.
  await using opening = new AsyncDisposableStack();
  const metrics = createMetrics({ ...options, streams });
  const databaseTokens = createTokens({ credential, proxy }, { scope: databaseScope(cloud), clock, log });
  opening.defer(() => databaseTokens.close());
  const outbox = await openOutbox({
    config,
    databaseToken: async () => (await databaseTokens.getToken()).token,
    clock,
    log,
    onFatal: options.onFatal,
    onEvent(event) {
      metrics.onStore(event);
      if (event.type === 'waiting') delivery.notify(event.kind, event.bytes);
    },
  });
  opening.defer(() => outbox.close());
  const scope = ingestionScope(cloud);
  const tokens = createTokens({ credential, proxy }, { scope, clock, log, onEvent: metrics.onTokenEvent });
  opening.defer(() => tokens.close());
  const ingestion = createIngestion({ endpoint, ruleId, tokens, proxy, clock });
  const delivery = createDelivery({
    kinds,
    streams,
    outbox,
    ingestion,
    explain: (result, kind, outcome) => explainUpload(result, { ...config.ingestion, ...kind, credential }, outcome),
    clock,
    random: Math.random,
    onEvent(event) {
      logDelivery(log, event);
      metrics.onDelivery(event);
      history.onDelivery(event);
    },
    flushIntervalMs: config.flushIntervalMs,
    pace: outbox.pace,
  });
  let secretProblems: ReturnType<ServiceState['secretProblems']> = [];
  let isStarted = false;
  // An engine that hangs is an answer too: nobody who asks for the state waits for it for long.
  const bounds = { limitMs: STATS_LIMIT_MS, clock };
  const state: ServiceState = {
    stats: createBoundedRead(outbox.stats, bounds),
    disk: createBoundedRead(() => diskOf(outbox), bounds),
    holds: delivery.holds,
    retrying: delivery.retrying,
    outbox,
    tokenExpiresAt: tokens.expiresAt,
    tokenObtainedAt: metrics.tokenObtainedAt,
    credentialEndsAt: createCredentialEnd(credential),
    heartbeat: () => heartbeat?.status() ?? null,
    secretProblems: () => secretProblems,
    started: () => isStarted,
  };
  const history = createHistory({ ...state, folder: outbox.folder, clock });
  history.onSecret(webhook.secret);
  opening.defer(() => history.stop());
  const { totals, onHeartbeat } = metrics;
  const heartbeat = createHeartbeat({ ...options, ...state, ingestion, totals, onHeartbeat });
  const server = createServer({
    ...options,
    webhook,
    kinds: kinds.map(({ name }) => name),
    receive: outbox.receive,
    health: state,
    history,
    onRequest: metrics.onRequest,
    onAccepted: metrics.onAccepted,
  });
  const adminServer = createAdminServer({
    ...options,
    ...state,
    ...server,
    admin,
    operator: createOperator({ outbox, log, holds: delivery.holds }),
    storeId: outbox.storeId,
    retry: delivery.retry,
    expose: () => metrics.expose(state),
    history,
    streams,
    onRequest: metrics.onRequest,
  });
  opening.defer(() => adminServer.stop(0));
  // The webhook port last: who can reach it gets a 2xx.
  const adminPort = await startAdmin(adminServer, config, log);
  const { port } = await server.start();
  delivery.start();
  heartbeat?.start();
  isStarted = true;
  const opened = opening.move();
  return {
    /** The port on which it takes webhooks. */
    port,
    /** The port of metrics and the admin API; null: it could not be had, see `startAdmin`. */
    adminPort,
    /** From now on, in place of those of the configuration. `problems`: of those that keep their value of before. */
    useSecrets(secrets: Secrets, problems: typeof secretProblems): void {
      secretProblems = problems;
      Object.assign(webhook, {
        secret: secrets.APONO_WEBHOOK_SECRET,
        previousSecret: secrets.APONO_WEBHOOK_SECRET_PREVIOUS,
      });
      history.onSecret(webhook.secret);
      Object.assign(admin, { token: secrets.ADMIN_TOKEN, metricsToken: secrets.METRICS_TOKEN });
      if (credential.type !== 'secret' || credential.clientSecret === secrets.AZURE_CLIENT_SECRET) return;
      Object.assign(credential, { clientSecret: secrets.AZURE_CLIENT_SECRET });
      // If the old one had ended, this is what a hold waits for.
      void delivery.retry(null);
    },
    /**
     * Readiness off, listener closed, requests in flight answered, running uploads finished or given back, admin port and
     * database closed, all within SHUTDOWN_TIMEOUT_MS as far as it is in our hands.
     */
    async stop(): Promise<void> {
      const limitMs = Math.max(0, config.shutdownTimeoutMs - CLOSE_RESERVE_MS);
      const abort = new AbortController();
      const cancelAbort = clock.setTimer(limitMs, () => abort.abort());
      const startedAtMs = performance.now();
      await Promise.all([server.stop(limitMs), delivery.stop(abort.signal), heartbeat?.stop()]);
      cancelAbort();
      // Only now: while an upload is under way, an operator looks at what the service is doing.
      await adminServer.stop(Math.max(0, limitMs - (performance.now() - startedAtMs)), 0);
      await opened.disposeAsync();
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

/** Rejects for an outbox that is not on this machine: its disk is its server's. */
async function diskOf({ folder }: OpenedOutbox) {
  if (folder === null) throw new Error('The outbox is on another machine');
  const { bavail, blocks, bsize } = await statfs(folder);
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
}
