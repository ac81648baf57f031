import { ingestionScope, resourceManagerScope } from '../azure/clouds.ts';
import { createCredential } from '../azure/credential.ts';
import { createIngestion } from '../azure/ingestion.ts';
import { createResourceManager, type ResourceManager } from '../azure/resource-manager.ts';
import { createTokenCache } from '../azure/token-cache.ts';
import { systemClock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { Ingestion } from '../delivery/ingestion.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { TextOutput } from './context.ts';

export interface AzureConnection {
  readonly ingestion: Ingestion;
  readonly resourceManager: ResourceManager;
  /** Ends the token caches' timers. */
  close(): void;
}

/** Azure for a command that runs once. What it finds is the command's to tell, so it logs only at debug and trace. */
export function connectAzure(config: Config, stderr: TextOutput): AzureConnection {
  const clock = systemClock;
  const level = config.logLevel === 'debug' || config.logLevel === 'trace' ? config.logLevel : 'silent';
  const log = createLogger(level, { write: (line) => void stderr.write(line) });
  const tokensFor = (scope: string) =>
    createTokenCache({ createCredential: () => createCredential(config.credential), scope, clock, log });
  const ingestionTokens = tokensFor(ingestionScope(config.cloud));
  const managerTokens = tokensFor(resourceManagerScope(config.cloud));
  const { endpoint, ruleId } = config.ingestion;
  return {
    ingestion: createIngestion({ endpoint, ruleId, cloud: config.cloud, tokens: ingestionTokens, clock }),
    resourceManager: createResourceManager({ origin: config.resourceManager, tokens: managerTokens, clock }),
    close() {
      ingestionTokens.close();
      managerTokens.close();
    },
  };
}
