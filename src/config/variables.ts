import { kinds, type StreamVariable } from '../kinds/registry.ts';
import { outboxUrl } from './outbox-url.ts';
import * as parse from './parse.ts';
import { headerSecret } from './secret-text.ts';
import { defaulted, type Variable, variable } from './variable.ts';

const streamVariables = Object.fromEntries(
  kinds.map(({ streamVariable, defaultStream, description }) => [
    streamVariable,
    defaulted(defaultStream, parse.streamName, {
      description: `Stream of ${description}; off: they are quarantined.`,
    }),
  ]),
) as Readonly<Record<StreamVariable, Variable<string | null>>>;

/**
 * Every variable of the service: the single source for reading them, for the redacted print of `check`, for .env.example
 * and for the table in the documentation. The order is that of all of these.
 */
export const variables = {
  APONO_WEBHOOK_SECRET: variable(headerSecret, {
    required: true,
    secret: true,
    description: 'The secret that Apono sends with each webhook, at least 16 characters.',
  }),
  APONO_WEBHOOK_SECRET_PREVIOUS: variable(headerSecret, {
    secret: true,
    description: 'Also accepted, so that the secret can be changed without losing an event.',
  }),
  APONO_TEMPLATE_ESCAPING: defaulted('auto', parse.choice(['auto', 'html', 'json', 'html-json', 'none']), {
    description:
      "How Apono's body templates escape text: auto, html, json, html-json or none. Unless it is auto, it holds for every body.",
  }),
  LOGS_INGESTION_ENDPOINT: variable(parse.httpsOrigin, {
    required: true,
    description: 'Ingestion endpoint of the data collection rule (kind: Direct) or of the data collection endpoint.',
    example: 'https://<name>.<region>.ingest.monitor.azure.com',
  }),
  DATA_COLLECTION_RULE_ID: variable(parse.ruleId, {
    required: true,
    description: 'Immutable id of the data collection rule: dcr- and 32 hexadecimal digits.',
    example: 'dcr-00000000000000000000000000000000',
  }),
  DATA_COLLECTION_RULE_RESOURCE_ID: variable(parse.armId('Microsoft.Insights/dataCollectionRules'), {
    description: 'Resource id of the rule, so that `check --live` compares its columns.',
    example: '/subscriptions/<id>/resourceGroups/<name>/providers/Microsoft.Insights/dataCollectionRules/<name>',
  }),
  ...streamVariables,
  LOGS_INGESTION_STREAM_HEARTBEAT: defaulted('Custom-AponoProxyHeartbeat_CL', parse.streamName, {
    description: 'Stream of the heartbeats; off: none.',
  }),
  HEARTBEAT_INTERVAL_MINUTES: defaulted('0', parse.integer(0, 1440), {
    description: 'Minutes between heartbeats, the rows about the service itself (1 to 1440); 0: none.',
  }),
  AZURE_CLOUD: defaulted('public', parse.choice(['public', 'usgov', 'china']), {
    description: 'public, usgov or china: token audience, authority, Resource Manager and endpoint suffix.',
  }),
  AZURE_TENANT_ID: variable(parse.tenantId, {
    description: 'Tenant of the application that signs in: its GUID or domain name.',
  }),
  AZURE_CLIENT_ID: variable(parse.clientId, {
    description: 'Client id of the application. Alone: the user-assigned managed identity.',
  }),
  AZURE_CLIENT_SECRET: variable(parse.clientSecret, { secret: true, description: 'Client secret, to sign in with.' }),
  AZURE_CLIENT_SECRET_EXPIRES: variable(parse.date, {
    description: 'When the client secret expires: YYYY-MM-DD or an ISO time. Warned of from 30 days before.',
    example: '2027-01-31',
  }),
  AZURE_CLIENT_CERTIFICATE_PATH: variable(parse.path, {
    fromFile: false,
    description: 'PEM file with certificate and private key, to sign in with.',
  }),
  // Whether it is meant shows when it opens the key.
  AZURE_CLIENT_CERTIFICATE_PASSWORD: variable((text) => text, {
    secret: true,
    description: 'Password of the private key in that file, where it is encrypted.',
  }),
  AZURE_FEDERATED_TOKEN_FILE: variable(parse.path, {
    fromFile: false,
    description: 'Token file of a workload identity, to sign in with; Kubernetes sets it.',
  }),
  AZURE_AUTHORITY_HOST: variable(parse.httpsOrigin, {
    description: 'Authority to sign in at, when it is not that of AZURE_CLOUD.',
    example: 'https://login.microsoftonline.com',
  }),
  SENTINEL_WORKSPACE_ID: variable(parse.armId('Microsoft.OperationalInsights/workspaces'), {
    description: 'Resource id of the Log Analytics workspace, for the `incidents` commands.',
    example: '/subscriptions/<id>/resourceGroups/<name>/providers/Microsoft.OperationalInsights/workspaces/<name>',
  }),
  AZURE_RESOURCE_MANAGER_ENDPOINT: variable(parse.httpsOrigin, {
    description: 'Resource Manager, when it is not that of AZURE_CLOUD.',
    example: 'https://management.azure.com',
  }),
  HOST: defaulted('0.0.0.0', parse.listenHost, { description: 'Address for webhooks.' }),
  PORT: defaulted('8080', parse.integer(0, 65_535), {
    description: 'Port for webhooks; 0: any free one, printed in the log.',
  }),
  ADMIN_HOST: defaulted('127.0.0.1', parse.listenHost, { description: 'Address of metrics and the admin API.' }),
  ADMIN_PORT: defaulted('9090', parse.integer(0, 65_535), {
    description: 'Port of metrics and the admin API; 0: any free one, printed in the log.',
  }),
  ADMIN_TOKEN: variable(headerSecret, {
    secret: true,
    description: 'Token for metrics and the admin API, at least 16 characters; required unless ADMIN_HOST is loopback.',
  }),
  METRICS_TOKEN: variable(headerSecret, {
    secret: true,
    description: 'Token that reads /metrics and nothing else, at least 16 characters; another than ADMIN_TOKEN.',
  }),
  DATA_DIR: defaulted('./data', parse.path, { description: 'Folder of the SQLite outbox.' }),
  OUTBOX_URL: variable(outboxUrl, {
    secret: true,
    description:
      'postgres://… of a database for the outbox instead of DATA_DIR, which several replicas may share. ' +
      'Without a password, at Azure Database for PostgreSQL: sign in with the credential above.',
    example: 'postgres://<user>:<password>@<host>:5432/<database>?sslmode=verify-full',
  }),
  OUTBOX_MAX_BYTES: defaulted('1073741824', parse.integer(65_536, Number.MAX_SAFE_INTEGER), {
    description: 'What the outbox may take on the disk, in bytes (65536 or more); past it webhooks are answered 503.',
  }),
  DEDUP_DAYS: defaulted('7', parse.integer(1, 3650), {
    description: "Days for which a delivered event's identity is remembered (1 to 3650).",
  }),
  FLUSH_INTERVAL_MS: defaulted('1000', parse.integer(0, 3_600_000), {
    description: 'The longest a row waits for company, in milliseconds (0 to 3600000).',
  }),
  MAX_BODY_BYTES: defaulted('5242880', parse.integer(256, 16_777_216), {
    description: 'Largest webhook body after decompression, in bytes (256 to 16777216).',
  }),
  KEEP_ALIVE_SECONDS: defaulted('650', parse.integer(5, 86_400), {
    description:
      'How long an idle connection stays open, in seconds (5 to 86400); longer than the load balancers in front keep it.',
  }),
  TRUST_PROXY: defaulted('loopback', parse.trustProxy, {
    description:
      'Proxies in front, as Express takes it: how many, their addresses and CIDR blocks, loopback, linklocal, uniquelocal or false.',
  }),
  ALLOWED_CIDRS: variable(parse.cidrList, {
    description: 'Addresses and CIDR blocks that may send webhooks; unset: all.',
    example: '203.0.113.0/24,2001:db8::/32',
  }),
  SHUTDOWN_TIMEOUT_MS: defaulted('25000', parse.integer(100, 86_400_000), {
    description: 'The longest that stopping may take, in milliseconds (100 or more).',
  }),
  LOG_LEVEL: defaulted('info', parse.choice(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']), {
    description: 'fatal, error, warn, info, debug, trace or silent.',
  }),
} satisfies Readonly<Record<string, Variable<unknown>>>;

export type VariableName = keyof typeof variables;

type ValueOf<V> = V extends Variable<infer T> ? T : never;
export type Values = { readonly [N in VariableName]: ValueOf<(typeof variables)[N]> };

export const variableNames = Object.keys(variables) as VariableName[];
