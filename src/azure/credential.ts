import { AsyncLocalStorage } from 'node:async_hooks';
import type { GetTokenOptions, TokenCredential } from '@azure/core-auth';
import type { HttpClient } from '@azure/core-rest-pipeline';
import {
  ClientCertificateCredential,
  ClientSecretCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
} from '@azure/identity';
import { readCertificate } from '../config/certificate.ts';
import type { CredentialConfig } from '../config/credential.ts';
import type { ProxyConfig } from '../config/proxy.ts';
import { systemClock } from '../ground/clock.ts';
import { createHttpClient, sdkOptions } from './http-client.ts';
import { createTokenCache, type TokenCache, type TokenCacheOptions } from './token-cache.ts';
import { TokenError, type TokenExchange, tokenErrorOf } from './token-error.ts';

/** A little below the token cache's own limit, so that the reason is what the network said and not "no token". */
const limits = { maxBodyBytes: 1_048_576, limitMs: 9_500, clock: systemClock };

/** The tokens for one scope, of the credential that the configuration names. */
export function createTokens(
  { credential, proxy }: { readonly credential: CredentialConfig; readonly proxy: ProxyConfig | null },
  options: Omit<TokenCacheOptions, 'createCredential'>,
): TokenCache {
  return createTokenCache({ createCredential: () => createCredential(credential, proxy), ...options });
}

/**
 * The credential that the configuration names. It rejects with a TokenError and nothing else; also what is wrong with
 * the values themselves (an unreadable certificate) comes up in `getToken`, not here. MSAL keeps its tokens in the
 * instance, so each `getToken` makes a new one, which is sure to ask Entra. (Those of a managed identity are kept per
 * process.) The endpoint of a managed identity is on this machine or its host, so it is never asked through `proxy`.
 */
export function createCredential(config: CredentialConfig, proxy: ProxyConfig | null = null): TokenCredential {
  const secrets = secretsOf(config);
  const managed = config.type === 'managed';
  const transport = createHttpClient({ ...limits, proxy: managed ? null : proxy });
  return {
    async getToken(scopes, options) {
      const attempt: Attempt = { signal: options?.abortSignal, transport, last: null };
      try {
        return await attempts.run(attempt, () => createSdkCredential(config).getToken(scopes, options));
      } catch (error) {
        throw tokenErrorOf(error, attempt.last, { secrets, managed });
      }
    },
  };
}

function createSdkCredential(config: CredentialConfig): TokenCredential {
  const client = {
    ...sdkOptions,
    httpClient: watchedClient,
    // Redirects would carry the client secret to another host.
    redirectOptions: { maxRetries: 0 },
  };
  if (config.type === 'managed') {
    return new ManagedIdentityCredential({ ...client, ...(config.clientId !== null && { clientId: config.clientId }) });
  }
  const { tenantId, clientId } = config;
  const options = {
    ...client,
    authorityHost: config.authorityHost,
    disableInstanceDiscovery: !config.instanceDiscovery,
    additionallyAllowedTenants: [],
  };
  switch (config.type) {
    case 'secret':
      return new ClientSecretCredential(tenantId, clientId, config.clientSecret, options);
    case 'certificate': {
      // Read anew for each credential, and with it for each token: a file that was renewed needs no restart.
      const reading = readCertificate(config.certificatePath, config.certificatePassword);
      if (!reading.ok) throw new TokenError('token_refused', `${reading.problem.name} ${reading.problem.message}`);
      const certificate = { certificate: reading.certificate.pem };
      // The chain lets Entra take a renewed certificate of the same subject (subject name and issuer authentication).
      const chained = { ...options, sendCertificateChain: true };
      return new ClientCertificateCredential(tenantId, clientId, certificate, chained);
    }
    case 'workload':
      return new WorkloadIdentityCredential({ ...options, tenantId, clientId, tokenFilePath: config.tokenFile });
  }
}

function secretsOf(config: CredentialConfig): readonly string[] {
  if (config.type === 'secret') return [config.clientSecret];
  return config.type === 'certificate' && config.certificatePassword !== null ? [config.certificatePassword] : [];
}

/** What one call of `getToken` says to the HTTP client, and learns from it. */
interface Attempt {
  readonly signal: GetTokenOptions['abortSignal'];
  readonly transport: HttpClient;
  last: TokenExchange | null;
}

/**
 * The calls that run. MSAL passes no signal on, hides what happened, and keeps the HTTP client of the first managed
 * identity credential for all that follow in the process: so there is one client, and this tells whom it works for.
 */
const attempts = new AsyncLocalStorage<Attempt>();
const direct = createHttpClient({ ...limits, proxy: null });

/** An HTTP client that notes how its last exchange ended. */
const watchedClient: HttpClient = {
  async sendRequest(request) {
    const attempt = attempts.getStore() ?? { signal: undefined, transport: direct, last: null };
    const { host } = new URL(request.url);
    const signals = [request.abortSignal, attempt.signal].filter((one) => one instanceof AbortSignal);
    try {
      const response = await attempt.transport.sendRequest({ ...request, abortSignal: AbortSignal.any(signals) });
      attempt.last = response;
      return response;
    } catch (error) {
      attempt.last = { host, failure: error };
      throw error;
    }
  },
};
