import { createReceiver } from './apono/receive.ts';
import { ingestionScope } from './azure/clouds.ts';
import { createCredential } from './azure/credential.ts';
import { explainUpload } from './azure/fixes.ts';
import { createIngestion } from './azure/ingestion.ts';
import { createTokenCache } from './azure/token-cache.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config/config.ts';
import { createDelivery, type Delivery } from './delivery/delivery.ts';
import { logObserver } from './delivery/log-observer.ts';
import { createServer } from './http/server.ts';
import { kinds } from './kinds/registry.ts';
import type { Outbox } from './outbox/port.ts';
import { openSqliteOutbox } from './outbox/sqlite/outbox.ts';
import type { Logger } from './telemetry/logger.ts';

const DAY_MS = 86_400_000;
const PRUNE_INTERVAL_MS = 3_600_000;
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
  /** The port it listens on. */
  readonly port: number;
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
  const outbox = await openSqliteOutbox({ ...config.outbox, clock, log, onFatal: options.onFatal });
  const tokens = createTokenCache({
    createCredential: () => createCredential(config.credential),
    scope: ingestionScope(config.cloud),
    clock,
    log,
  });
  const delivery = createServiceDelivery(options, outbox, tokens);
  let state: 'starting' | 'started' | 'draining' = 'starting';
  const server = createServer({
    ...config.webhook,
    webhook: config.webhook,
    version: options.version,
    clock,
    log,
    receive: createReceiver({
      outbox,
      kinds,
      streams: config.ingestion.streams,
      escaping: config.webhook.escaping,
      clock,
      log,
      onStored: delivery.notify,
    }),
    health: {
      stats: () => outbox.stats(),
      holds: delivery.holds,
      lastDeliveryAt: delivery.lastDeliveryAt,
      tokenExpiresAt: () => tokens.expiresAt,
      started: () => state === 'started',
      draining: () => state === 'draining',
    },
  });
  let port: number;
  try {
    ({ port } = await server.start());
  } catch (error) {
    await outbox.close();
    throw error;
  }
  delivery.start();
  const stopPruning = keepPruning(outbox, config.outbox.dedupDays, clock);
  state = 'started';
  return {
    port,
    async stop() {
      state = 'draining';
      stopPruning();
      const limitMs = Math.max(0, config.shutdownTimeoutMs - CLOSE_RESERVE_MS);
      const abort = new AbortController();
      const cancelAbort = clock.setTimer(limitMs, () => abort.abort());
      await Promise.all([server.stop(limitMs), delivery.stop(abort.signal)]);
      cancelAbort();
      await outbox.close();
      tokens.close();
    },
  };
}

function createServiceDelivery(
  { config, clock, log }: ServiceOptions,
  outbox: Outbox,
  tokens: ReturnType<typeof createTokenCache>,
): Delivery {
  const { endpoint, ruleId, streams } = config.ingestion;
  return createDelivery({
    kinds,
    streams,
    outbox,
    ingestion: createIngestion({ endpoint, ruleId, cloud: config.cloud, tokens, clock }),
    explain: (result, kind) =>
      explainUpload(result, {
        stream: streams[kind.name] ?? kind.defaultStream,
        streamVariable: kind.streamVariable,
        ruleId,
        endpoint,
        credential: config.credential,
      }),
    clock,
    random: Math.random,
    observer: logObserver(log),
    flushIntervalMs: config.flushIntervalMs,
  });
}

/** Forgets identities when DEDUP_DAYS are over: now, and every hour. */
function keepPruning(outbox: Outbox, dedupDays: number, clock: Clock): () => void {
  let cancel = () => {};
  let stopped = false;
  async function prune(): Promise<void> {
    await outbox.prune(clock.now() - dedupDays * DAY_MS);
    if (!stopped) cancel = clock.setTimer(PRUNE_INTERVAL_MS, () => void prune());
  }
  void prune();
  return () => {
    stopped = true;
    cancel();
  };
}
