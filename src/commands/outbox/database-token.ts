import { createCredential } from '../../azure/credential.ts';
import { createTokenCache } from '../../azure/token-cache.ts';
import { clouds, databaseScope } from '../../config/clouds.ts';
import { chooseCredential, credentialNames } from '../../config/credential.ts';
import { authorityOf, readOutgoing } from '../../config/outgoing.ts';
import { type Environment, readVariables } from '../../config/read.ts';
import { systemClock } from '../../ground/clock.ts';
import { createLogger } from '../../ground/log.ts';
import { reportProblems } from '../configuration.ts';
import type { TextOutput } from '../context.ts';

const names = ['AZURE_CLOUD', ...credentialNames] as const;

export interface DatabaseSignIn {
  token(): Promise<string>;
  close(): void;
}

/** Tokens for Azure Database for PostgreSQL, by the service's credential. Tells what is wrong with its variables. */
export async function signInTo(env: Environment, stderr: TextOutput): Promise<DatabaseSignIn | 'misconfigured'> {
  const { values, problems } = readVariables(env, names);
  const cloud = clouds[values.AZURE_CLOUD];
  const choice = chooseCredential(values, { cloud, failed: new Set(problems.map(({ name }) => name)) });
  const { credential } = choice;
  const { proxy, problems: outgoing } = readOutgoing(env, [authorityOf(credential)]);
  const all = [...problems, ...choice.problems, ...outgoing];
  if (all.length > 0 || credential === null) {
    reportProblems(stderr, all);
    return 'misconfigured';
  }
  const log = createLogger('silent', { write: () => undefined });
  const tokens = createTokenCache({
    createCredential: () => createCredential(credential, proxy),
    scope: databaseScope(cloud),
    clock: systemClock,
    log,
  });
  return { token: async () => (await tokens.getToken()).token, close: () => tokens.close() };
}
