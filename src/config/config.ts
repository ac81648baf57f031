import { kinds } from '../kinds/registry.ts';
import { clouds } from './clouds.ts';
import { type CredentialConfig, createCredentialEnd } from './credential.ts';
import { describeProxy, type ProxyConfig } from './proxy.ts';
import type { Reading, Setting } from './read.ts';
import type { VariableName } from './variables.ts';

/** The validated configuration. It is made once, at start, by `loadConfig` (load.ts). */
export type Config = ReturnType<typeof assemble>;

export function assemble(
  { values, given }: Reading<VariableName>,
  { credential, proxy }: { readonly credential: CredentialConfig | null; readonly proxy: ProxyConfig | null },
) {
  const { APONO_WEBHOOK_SECRET: secret, LOGS_INGESTION_ENDPOINT: endpoint, DATA_COLLECTION_RULE_ID: ruleId } = values;
  if (secret === null || endpoint === null || ruleId === null || credential === null) {
    throw new Error('A required value is missing although no problem was found');
  }
  const cloud = clouds[values.AZURE_CLOUD];
  const stream = values.LOGS_INGESTION_STREAM_HEARTBEAT;
  const isDefaultStream = !given.has('LOGS_INGESTION_STREAM_HEARTBEAT');
  const intervalMs = values.HEARTBEAT_INTERVAL_MINUTES * 60_000;
  return deepFreeze({
    webhook: {
      secret,
      previousSecret: values.APONO_WEBHOOK_SECRET_PREVIOUS,
      escaping: values.APONO_TEMPLATE_ESCAPING,
      /** After decompression. */
      maxBodyBytes: values.MAX_BODY_BYTES,
      keepAliveMs: values.KEEP_ALIVE_SECONDS * 1000,
      /** Empty: everybody may come. */
      allowedCidrs: values.ALLOWED_CIDRS ?? [],
      /** As Express takes it: a hop count, or names and CIDRs; false trusts nobody. */
      trustProxy: values.TRUST_PROXY,
      host: values.HOST,
      port: values.PORT,
    },
    /** The operator's listener: metrics and admin API. A null `token` is possible on a loopback host only. */
    admin: {
      host: values.ADMIN_HOST,
      port: values.ADMIN_PORT,
      isDefaultPort: !given.has('ADMIN_PORT'),
      token: values.ADMIN_TOKEN,
      /** Allows reading /metrics and nothing else. */
      metricsToken: values.METRICS_TOKEN,
    },
    ingestion: {
      /** https origin without a trailing slash. */
      endpoint,
      ruleId,
      ruleResourceId: values.DATA_COLLECTION_RULE_RESOURCE_ID,
      /** By name of the webhook kind; null: `off`, events of that kind are quarantined. */
      streams: Object.fromEntries(kinds.map(({ name, streamVariable }) => [name, values[streamVariable]])),
      /** Names of the kinds whose stream variable was set, not defaulted. */
      explicitStreams: kinds.filter((kind) => given.has(kind.streamVariable)).map(({ name }) => name),
    },
    /** Null: LOGS_INGESTION_STREAM_HEARTBEAT is `off`. An interval of 0: no heartbeat is sent. */
    heartbeat: stream === null ? null : { stream, isDefaultStream, intervalMs },
    cloud,
    resourceManager: values.AZURE_RESOURCE_MANAGER_ENDPOINT ?? cloud.resourceManager,
    credential,
    /** What outgoing HTTPS goes through; null: nothing. */
    proxy,
    outbox: {
      dataDir: values.DATA_DIR,
      /** Null: SQLite in dataDir. */
      database: values.OUTBOX_URL,
      maxBytes: values.OUTBOX_MAX_BYTES,
      dedupDays: values.DEDUP_DAYS,
    },
    flushIntervalMs: values.FLUSH_INTERVAL_MS,
    shutdownTimeoutMs: values.SHUTDOWN_TIMEOUT_MS,
    logLevel: values.LOG_LEVEL,
  });
}

type DeepReadonly<T> = T extends (...given: never) => unknown ? T : { readonly [K in keyof T]: DeepReadonly<T[K]> };

function deepFreeze<T>(value: T): DeepReadonly<T> {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value as DeepReadonly<T>;
}

/** The configuration for people: every variable, then what follows from them. Never holds a secret. */
export function describeConfig(config: Config, settings: readonly Setting[]): Setting[] {
  const derived = (name: string, value: string): Setting => ({ name, value, from: 'derived' });
  const { credential } = config;
  const endsAt = createCredentialEnd(credential)();
  return [
    ...settings,
    derived('credential', describeCredential(credential)),
    ...(credential.type === 'managed' ? [] : [derived('authority', credential.authorityHost)]),
    ...(endsAt === null ? [] : [derived('credential ends', new Date(endsAt).toISOString())]),
    derived('outbox', describeOutbox(config.outbox)),
    derived('proxy', config.proxy === null ? 'none' : describeProxy(config.proxy)),
    derived('token audience', config.cloud.ingestionAudience),
    derived('resource manager', config.resourceManager),
  ];
}

function describeCredential(credential: Config['credential']): string {
  const { clientId } = credential;
  if (credential.type === 'secret') return `client secret of ${clientId}`;
  if (credential.type === 'certificate') return `certificate ${credential.certificatePath} of ${clientId}`;
  if (credential.type === 'workload') return `workload identity ${clientId}, token file ${credential.tokenFile}`;
  return clientId === null ? 'system-assigned managed identity' : `user-assigned managed identity ${clientId}`;
}

/** Where the outbox is and how it signs in, without user and password. */
function describeOutbox({ database, dataDir }: Config['outbox']): string {
  if (database === null) return `SQLite in ${dataDir}`;
  const { host, port, database: name, tls, entra, password } = database;
  const signIn = entra ? 'Microsoft Entra' : password === null ? 'no password' : 'password';
  return `PostgreSQL at ${host}:${port}/${name}, TLS ${tls}, signs in with ${signIn}`;
}
