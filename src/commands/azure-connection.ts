import { createCredential } from '../azure/credential.ts';
import { createIngestion } from '../azure/ingestion.ts';
import { createResourceManager, type ResourceManager } from '../azure/resource-manager.ts';
import { createTokenCache } from '../azure/token-cache.ts';
import { databaseScope, ingestionScope, resourceManagerScope } from '../config/clouds.ts';
import type { Config } from '../config/config.ts';
import type { Ingestion } from '../delivery/ingestion.ts';
import { systemClock } from '../ground/clock.ts';
import { createLogger } from '../ground/log.ts';
import type { TextOutput } from './context.ts';
import type { DatabaseSignIn } from './outbox/database-token.ts';

export interface AzureConnection {
  readonly ingestion: Ingestion;
  readonly resourceManager: ResourceManager;
  /** Ends the token caches' timers. */
  close(): void;
}

/** Azure for a command that runs once. What it finds is the command's to tell, so it logs only at debug and trace. */
export function connectAzure(config: Config, stderr: TextOutput): AzureConnection {
  const clock = systemClock;
  const ingestionTokens = tokensFor(config, ingestionScope(config.cloud), stderr);
  const managerTokens = tokensFor(config, resourceManagerScope(config.cloud), stderr);
  const { cloud, proxy } = config;
  const { endpoint, ruleId } = config.ingestion;
  return {
    ingestion: createIngestion({ endpoint, ruleId, cloud, tokens: ingestionTokens, proxy, clock }),
    resourceManager: createResourceManager({ origin: config.resourceManager, tokens: managerTokens, proxy, clock }),
    close() {
      ingestionTokens.close();
      managerTokens.close();
    },
  };
}

/** Tokens of the service's credential for a database at Azure, where it is signed in to with one. */
export function connectDatabaseSignIn(config: Config, stderr: TextOutput): DatabaseSignIn {
  const tokens = tokensFor(config, databaseScope(config.cloud), stderr);
  return { token: async () => (await tokens.getToken()).token, close: () => tokens.close() };
}

function tokensFor(config: Config, scope: string, stderr: TextOutput) {
  const level = config.logLevel === 'debug' || config.logLevel === 'trace' ? config.logLevel : 'silent';
  const log = createLogger(level, { write: (line) => void stderr.write(line) });
  return createTokenCache({
    createCredential: () => createCredential(config.credential, config.proxy),
    scope,
    clock: systemClock,
    log,
  });
}
