import { createTokens } from '../azure/credential.ts';
import type { TokenCache } from '../azure/token-cache.ts';
import type { Config } from '../config/config.ts';
import { systemClock } from '../ground/clock.ts';
import { createLogger } from '../ground/log.ts';
import type { TextOutput } from './context.ts';

/** For a command that runs once. It reports what it finds, so nothing is logged above the levels debug and trace. */
export function tokensFor(
  { credential, proxy, logLevel }: Pick<Config, 'credential' | 'proxy' | 'logLevel'>,
  scope: string,
  stderr: TextOutput,
): TokenCache {
  const level = logLevel === 'debug' || logLevel === 'trace' ? logLevel : 'silent';
  const log = createLogger(level, stderr);
  return createTokens({ credential, proxy }, { scope, clock: systemClock, log });
}
