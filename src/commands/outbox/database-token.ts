import { databaseScope } from '../../config/clouds.ts';
import { credentialNames } from '../../config/credential.ts';
import { readSignIn } from '../../config/load.ts';
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
  const reading = readVariables(env, names);
  const { cloud, credential, proxy, ...signIn } = readSignIn(env, reading, []);
  const problems = [...reading.problems, ...signIn.problems];
  if (problems.length > 0 || credential === null) {
    reportProblems(stderr, problems);
    return 'misconfigured';
  }
  const tokens = tokensFor({ credential, proxy, logLevel: 'silent' }, databaseScope(cloud), stderr);
  return { token: async () => (await tokens.getToken()).token, close: () => tokens.close() };
}
