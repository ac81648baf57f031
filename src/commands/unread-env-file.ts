import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';
import type { Environment } from '../config/read.ts';
import type { ConfigProblem } from '../config/variable.ts';
import { variableNames, variables } from '../config/variables.ts';

const SHOWN = 3;

/**
 * A warning when the current folder has a `.env` with variables of the service that the environment lacks: nothing but
 * compose or systemd reads such a file, and somebody who wrote one thinks that it counts.
 */
export function unreadEnvFile(env: Environment): ConfigProblem[] {
  const file = path.resolve('.env');
  const written = readEnvFile(file);
  const isGiven = (from: Environment, name: string): boolean =>
    Boolean(from[name]) || (variables[name as keyof typeof variables].fromFile && Boolean(from[`${name}_FILE`]));
  const unread = variableNames.filter((name) => isGiven(written, name) && !isGiven(env, name));
  if (unread.length === 0) return [];
  const more = unread.length - SHOWN;
  const named = unread.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
  const message =
    `${file} sets ${named}, which the environment does not have. The service reads no .env file itself: load it with ` +
    '`set -a; . ./.env; set +a`, or let compose (env_file) or systemd (EnvironmentFile=) read it.';
  return [{ name: '.env', message }];
}

/** Empty when there is none that can be read. */
function readEnvFile(file: string): Environment {
  try {
    return parseEnv(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}
