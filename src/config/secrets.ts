import { type Environment, readVariables } from './read.ts';
import type { Values } from './variables.ts';

const PREVIOUS = 'APONO_WEBHOOK_SECRET_PREVIOUS';

/** What may change while the service runs, where it is in a file that NAME_FILE names. */
export const secretNames = [
  'APONO_WEBHOOK_SECRET',
  PREVIOUS,
  'AZURE_CLIENT_SECRET',
  'ADMIN_TOKEN',
  'METRICS_TOKEN',
] as const;

type SecretName = (typeof secretNames)[number];
export type Secrets = Pick<Values, SecretName>;

/**
 * Reads the files again. A secret that has a problem keeps its value of before; so does one whose file is empty now, as
 * it is while somebody writes it, and an emptied ADMIN_TOKEN must not open the port. Only the previous webhook secret may
 * be taken away.
 */
export function readSecretsAgain(env: Environment, before: Secrets) {
  const { values: secrets, problems } = readVariables(env, secretNames);
  const keep = (name: SecretName) => Object.assign(secrets, { [name]: before[name] });
  const hasProblem = (name: SecretName) => problems.some((problem) => problem.name === name);
  const isEmptied = (name: SecretName) => secrets[name] === null && before[name] !== null && name !== PREVIOUS;
  const emptied = secretNames.filter((name) => isEmptied(name) && !hasProblem(name));
  problems.push(...emptied.map((name) => ({ name, message: 'is empty now' })));
  secretNames.filter(hasProblem).forEach(keep);
  for (const problem of [...checkSecrets(secrets)]) {
    problems.push(problem);
    keep(problem.name);
    // The one that became the same: a token for metrics must not become that of the operator.
    if (problem.name === 'METRICS_TOKEN') keep('ADMIN_TOKEN');
  }
  return { secrets, problems };
}

/** What is wrong only with several secrets taken together. */
export function* checkSecrets(secrets: Secrets): Generator<{ name: SecretName; message: string }> {
  const { APONO_WEBHOOK_SECRET_PREVIOUS: previous, ADMIN_TOKEN: token } = secrets;
  if (previous !== null && previous === secrets.APONO_WEBHOOK_SECRET) {
    yield { name: PREVIOUS, message: 'is the same as APONO_WEBHOOK_SECRET; set the secret from before, or unset it' };
  }
  if (token !== null && secrets.METRICS_TOKEN === token) {
    const message = 'is the same as ADMIN_TOKEN, so it would do more than read metrics; set another one';
    yield { name: 'METRICS_TOKEN', message };
  }
}
