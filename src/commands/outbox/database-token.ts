import { clouds, databaseScope } from '../../config/clouds.ts';
import { chooseCredential, credentialNames } from '../../config/credential.ts';
import { authorityOf, readOutgoing } from '../../config/outgoing.ts';
import { type Environment, readVariables } from '../../config/read.ts';
import { reportProblems, type TextOutput } from '../context.ts';
import { tokensFor } from '../tokens.ts';

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
  const tokens = tokensFor({ credential, proxy, logLevel: 'silent' }, databaseScope(cloud), stderr);
  return { token: async () => (await tokens.getToken()).token, close: () => tokens.close() };
}
