import type { GetTokenOptions, TokenCredential } from '@azure/core-auth';
import { createDefaultHttpClient, type HttpClient } from '@azure/core-rest-pipeline';
import {
  ClientCertificateCredential,
  ClientSecretCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
} from '@azure/identity';
import { systemClock } from '../clock.ts';
import type { CredentialConfig } from '../config/config.ts';
import { describeNetworkError } from './messages.ts';
import { runWithin } from './time-limit.ts';
import { TokenError, type TokenExchange, tokenErrorOf } from './token-error.ts';
import { userAgentPrefix } from './user-agent.ts';

type AbortSignalLike = NonNullable<GetTokenOptions['abortSignal']>;

/** A little below the token cache's own limit, so that the reason is what the network said and not "no token". */
const exchangeLimitMs = 9_500;

/** Shared, since a credential lives for one token only and its connections are worth keeping. */
const transport = createDefaultHttpClient();

/**
 * The credential that the configuration names. It rejects with a TokenError and nothing else; also what is wrong with
 * the values themselves (an unreadable certificate) comes up in `getToken`, not here. MSAL keeps its tokens in the
 * instance: only a new one is sure to ask Entra. (Those of a managed identity are kept per process.)
 */
export function createCredential(config: CredentialConfig): TokenCredential {
  const watched = watchedTransport();
  const secrets = config.type === 'secret' ? [config.clientSecret] : [];
  let credential: TokenCredential | null = null;
  return {
    async getToken(scopes, options) {
      watched.begin(options?.abortSignal);
      try {
        credential ??= createSdkCredential(config, watched.httpClient);
        const token = await credential.getToken(scopes, options);
        if (token === null) throw new TokenError('token_refused', 'The credential gave no token.');
        return token;
      } catch (error) {
        throw tokenErrorOf(error, watched.last(), secrets);
      }
    },
  };
}

function createSdkCredential(config: CredentialConfig, httpClient: HttpClient): TokenCredential {
  const client = {
    httpClient,
    // The token cache tries again, at its own pace. Redirects would carry the client secret to another host.
    retryOptions: { maxRetries: 0 },
    redirectOptions: { maxRetries: 0 },
    userAgentOptions: { userAgentPrefix },
  };
  if (config.type === 'managed') {
    return config.clientId === null
      ? new ManagedIdentityCredential(client)
      : new ManagedIdentityCredential({ ...client, clientId: config.clientId });
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
    case 'certificate':
      // The chain lets Entra take a renewed certificate of the same subject (subject name and issuer authentication).
      return new ClientCertificateCredential(tenantId, clientId, config.certificatePath, {
        ...options,
        sendCertificateChain: true,
      });
    case 'workload':
      return new WorkloadIdentityCredential({ ...options, tenantId, clientId, tokenFilePath: config.tokenFile });
  }
}

interface WatchedTransport {
  readonly httpClient: HttpClient;
  last(): TokenExchange | null;
  /** Forgets the last exchange. Those that follow end when the signal says so: MSAL does not pass it on. */
  begin(signal: AbortSignalLike | undefined): void;
}

/** An HTTP client with a time limit (the SDK's has none) that remembers how its last exchange ended. */
function watchedTransport(): WatchedTransport {
  let last: TokenExchange | null = null;
  let callerSignal: AbortSignalLike | undefined;
  return {
    last: () => last,
    begin(signal) {
      last = null;
      callerSignal = signal;
    },
    httpClient: {
      async sendRequest(request) {
        const host = new URL(request.url).host;
        const signal = AbortSignal.any([request.abortSignal, callerSignal].filter((one) => one instanceof AbortSignal));
        const limits = { clock: systemClock, limitMs: exchangeLimitMs, signal };
        try {
          const response = await runWithin(limits, (ending) => {
            request.abortSignal = ending;
            return transport.sendRequest(request);
          });
          last = { type: 'answered', host, status: response.status, body: response.bodyAsText ?? '' };
          return response;
        } catch (error) {
          last = { type: 'unanswered', host, message: describeNetworkError(error) };
          throw error;
        }
      },
    },
  };
}
