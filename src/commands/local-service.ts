import { isIP } from 'node:net';
import { localAddress } from '../config/parse-network.ts';
import type { ConfigProblem } from '../config/parsed.ts';
import { type Environment, readVariables } from '../config/read.ts';

/** Where the service of this configuration listens, seen from the same machine. */
export type LocalService =
  | { readonly origin: string; readonly problems: readonly [] }
  | { readonly origin: null; readonly problems: readonly ConfigProblem[] };

/** Reads HOST and PORT and nothing else, so that it works where the other variables are not set. */
export function findLocalService(env: Environment): LocalService {
  const { values, problems } = readVariables(env, ['HOST', 'PORT']);
  if (problems.length > 0) return { origin: null, problems };
  if (values.PORT === 0) {
    const message = 'is 0, so the service listens on a port that only its log tells';
    return { origin: null, problems: [{ name: 'PORT', message }] };
  }
  return { origin: localOrigin(values.HOST, values.PORT), problems: [] };
}

/** Of a listener on `host`, seen from this machine. */
export function localOrigin(host: string, port: number): string {
  const address = localAddress(host);
  return `http://${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
}
