import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';

export const secret = 'correct-horse-battery-staple';

/** The least that is needed in Azure, where a managed identity signs in. */
export const minimal: Readonly<Record<string, string>> = {
  APONO_WEBHOOK_SECRET: secret,
  LOGS_INGESTION_ENDPOINT: 'https://apono-a1b2.westeurope-1.ingest.monitor.azure.com',
  DATA_COLLECTION_RULE_ID: 'dcr-0123456789abcdef0123456789abcdef',
};

export function load(extra: Readonly<Record<string, string | undefined>> = {}) {
  return loadConfig({ ...minimal, ...extra });
}

/** The configuration of variables that are all right. */
export function configOf(extra: Readonly<Record<string, string | undefined>> = {}): Config {
  const { config, problems } = load(extra);
  if (config === null) throw new Error(`Unexpected problems: ${JSON.stringify(problems)}`);
  return config;
}

/** Message by name. */
export function problemsOf(extra: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const { problems } = load(extra);
  const byName = Object.fromEntries(problems.map(({ name, message }) => [name, message]));
  if (Object.keys(byName).length !== problems.length) throw new Error(`A name twice: ${JSON.stringify(problems)}`);
  return byName;
}

export function warningsOf(extra: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(load(extra).warnings.map(({ name, message }) => [name, message]));
}
