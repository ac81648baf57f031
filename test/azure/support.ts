import type { TestContext } from 'node:test';
import { createCredential } from '../../src/azure/credential.ts';
import { createIngestion, type IngestionOptions } from '../../src/azure/ingestion.ts';
import { createTokenCache, type TokenCache, type TokenEvent } from '../../src/azure/token-cache.ts';
import { clouds, ingestionScope } from '../../src/config/clouds.ts';
import type { CredentialConfig } from '../../src/config/credential.ts';
import type { ProxyConfig } from '../../src/config/proxy.ts';
import type { Ingestion } from '../../src/delivery/outcome.ts';
import { type Clock, systemClock } from '../../src/ground/clock.ts';
import { createLogger, type Logger } from '../../src/ground/log.ts';
import type { Emulator } from '../support/azure/emulator.ts';

export interface Lines {
  readonly log: Logger;
  readonly lines: readonly string[];
}

export function logLines(): Lines {
  const lines: string[] = [];
  return { lines, log: createLogger('trace', { write: (line) => void lines.push(line) }) };
}

export type SecretCredential = Extract<CredentialConfig, { type: 'secret' }>;

export function secretCredential(emulator: Emulator, clientSecret = emulator.clientSecret): SecretCredential {
  return {
    type: 'secret',
    tenantId: emulator.tenantId,
    clientId: emulator.clientId,
    clientSecret,
    expiresAt: null,
    authorityHost: emulator.origin,
    instanceDiscovery: false,
  };
}

export interface TestTokens {
  readonly tokens: TokenCache;
  readonly events: readonly TokenEvent[];
  readonly lines: readonly string[];
}

export interface TestTokensOptions {
  readonly credential?: CredentialConfig;
  readonly scope?: string;
  readonly clock?: Clock;
  readonly proxy?: ProxyConfig | null;
}

/** A token cache over the real SDK, closed after the test. */
export function testTokens(t: TestContext, emulator: Emulator, options: TestTokensOptions = {}): TestTokens {
  const credential = options.credential ?? secretCredential(emulator);
  const events: TokenEvent[] = [];
  const { log, lines } = logLines();
  const tokens = createTokenCache({
    createCredential: () => createCredential(credential, options.proxy),
    scope: options.scope ?? ingestionScope(clouds.public),
    clock: options.clock ?? systemClock,
    log,
    onEvent: (event) => void events.push(event),
  });
  t.after(() => tokens.close());
  return { tokens, events, lines };
}

export interface TestIngestion extends TestTokens {
  readonly ingestion: Ingestion;
}

export function testIngestion(
  t: TestContext,
  emulator: Emulator,
  options: Partial<IngestionOptions> & TestTokensOptions = {},
): TestIngestion {
  const { credential: _credential, scope: _scope, ...rest } = options;
  const cache = testTokens(t, emulator, options);
  const ingestion = createIngestion({
    endpoint: emulator.origin,
    ruleId: emulator.ruleId,
    tokens: cache.tokens,
    ...rest,
  });
  return { ...cache, ingestion };
}

export function countOf(emulator: Emulator, kind: 'token' | 'openid' | 'ingest'): number {
  return emulator.requests.filter((request) => request.kind === kind).length;
}
