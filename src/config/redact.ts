import type { Config } from './config.ts';
import { createCredentialEnd } from './credential.ts';
import { describeProxy } from './proxy.ts';
import type { Setting } from './read.ts';

export interface DescribedSetting {
  readonly name: string;
  /** What is in effect; a secret shows its length only; empty when nothing is set. */
  readonly value: string;
  /** `environment`, `file <path>`, `default`, `not set`, or `derived` from other variables. */
  readonly from: string;
}

/** The configuration for people: every variable, then what follows from them. Never holds a secret. */
export function describeConfig(config: Config, settings: readonly Setting[]): DescribedSetting[] {
  return [...settings.map(describeSetting), ...describeDerived(config)];
}

function describeSetting({ name, shown, source, path }: Setting): DescribedSetting {
  const from = source === 'file' ? `file ${path}` : source === 'unset' ? 'not set' : source;
  return { name, value: shown ?? '', from };
}

function describeDerived(config: Config): DescribedSetting[] {
  const derived = (name: string, value: string): DescribedSetting => ({ name, value, from: 'derived' });
  const { credential } = config;
  const endsAt = createCredentialEnd(credential)();
  return [
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
  switch (credential.type) {
    case 'secret':
      return `client secret of ${credential.clientId}`;
    case 'certificate':
      return `certificate ${credential.certificatePath} of ${credential.clientId}`;
    case 'workload':
      return `workload identity ${credential.clientId}, token file ${credential.tokenFile}`;
    case 'managed':
      return credential.clientId === null
        ? 'system-assigned managed identity'
        : `user-assigned managed identity ${credential.clientId}`;
  }
}

/** Where the outbox is and how it signs in, without user and password. */
function describeOutbox({ database, dataDir }: Config['outbox']): string {
  if (database === null) return `SQLite in ${dataDir}`;
  const { host, port, database: name, tls, entra, password } = database;
  const signIn = entra ? 'Microsoft Entra' : password === null ? 'no password' : 'password';
  return `PostgreSQL at ${host}:${port}/${name}, TLS ${tls}, signs in with ${signIn}`;
}
