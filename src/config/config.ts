/**
 * The validated configuration, frozen. It is made once, at start, by `loadConfig` (load.ts) from the variables of
 * variables.ts; nothing else reads the environment.
 */

import type { TemplateEscaping } from '../apono/read.ts';
import type { LogLevel } from '../ground/log.ts';
import type { CloudSettings } from './clouds.ts';
import type { ProxyConfig } from './proxy.ts';

interface Authority {
  /** https, without a trailing slash. */
  readonly authorityHost: string;
  /** False for an authority that is not Microsoft's: MSAL would ask login.microsoftonline.com about it. */
  readonly instanceDiscovery: boolean;
}

/** Which credential signs in, decided by what is set: secret, certificate, workload identity, else managed identity. */
export type CredentialConfig =
  | ({
      readonly type: 'secret';
      readonly tenantId: string;
      readonly clientId: string;
      readonly clientSecret: string;
      /** What AZURE_CLIENT_SECRET_EXPIRES says, milliseconds since the epoch. */
      readonly expiresAt?: number | null;
    } & Authority)
  | ({
      readonly type: 'certificate';
      readonly tenantId: string;
      readonly clientId: string;
      readonly certificatePath: string;
      /** Of its private key. */
      readonly certificatePassword: string | null;
    } & Authority)
  | ({
      readonly type: 'workload';
      readonly tenantId: string;
      readonly clientId: string;
      readonly tokenFile: string;
    } & Authority)
  | { readonly type: 'managed'; readonly clientId: string | null };

/** The outbox in PostgreSQL, as OUTBOX_URL names it. */
export interface OutboxDatabase {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | null;
  /** A token of Microsoft Entra, from the same credential, stands in for the password. */
  readonly entra: boolean;
  /** `unverified`: encrypted, but to whoever answers. */
  readonly tls: 'verified' | 'unverified' | 'off';
  readonly rootCertificateFile: string | null;
  readonly certificateFile: string | null;
  readonly keyFile: string | null;
}

export interface Config {
  readonly webhook: {
    readonly secret: string;
    readonly previousSecret: string | null;
    readonly escaping: TemplateEscaping;
    /** After decompression. */
    readonly maxBodyBytes: number;
    readonly keepAliveMs: number;
    /** Empty: everybody may come. */
    readonly allowedCidrs: readonly string[];
    /** As Express takes it: a hop count, or names and CIDRs; false trusts nobody. */
    readonly trustProxy: number | readonly string[] | false;
    readonly host: string;
    readonly port: number;
  };
  /** The operator's listener: metrics and admin API. A null `token` is possible on a loopback host only. */
  readonly admin: {
    readonly host: string;
    readonly port: number;
    /** ADMIN_PORT was not set. */
    readonly isDefaultPort: boolean;
    readonly token: string | null;
    /** Reads /metrics and nothing else. */
    readonly metricsToken: string | null;
  };
  readonly ingestion: {
    /** https origin without a trailing slash. */
    readonly endpoint: string;
    readonly ruleId: string;
    readonly ruleResourceId: string | null;
    /** By name of the webhook kind; null: `off`, events of that kind are quarantined. */
    readonly streams: Readonly<Record<string, string | null>>;
    /** Names of the kinds whose stream variable was set, not defaulted. */
    readonly explicitStreams: readonly string[];
  };
  /** Null: LOGS_INGESTION_STREAM_HEARTBEAT is `off`. */
  readonly heartbeat: {
    readonly stream: string;
    /** LOGS_INGESTION_STREAM_HEARTBEAT was not set. */
    readonly isDefaultStream: boolean;
    /** 0: no heartbeat is sent. */
    readonly intervalMs: number;
  } | null;
  readonly cloud: CloudSettings;
  /** AZURE_RESOURCE_MANAGER_ENDPOINT, else that of the cloud. */
  readonly resourceManager: string;
  readonly credential: CredentialConfig;
  /** What outgoing HTTPS goes through; null: nothing. */
  readonly proxy: ProxyConfig | null;
  readonly outbox: {
    readonly dataDir: string;
    /** Null: SQLite in dataDir. */
    readonly database: OutboxDatabase | null;
    readonly maxBytes: number;
    readonly dedupDays: number;
  };
  readonly flushIntervalMs: number;
  readonly shutdownTimeoutMs: number;
  readonly logLevel: LogLevel;
}
