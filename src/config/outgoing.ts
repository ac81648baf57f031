import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CredentialConfig } from './config.ts';
import { cannotBeRead, fileProblem } from './file.ts';
import { isLoopbackHost } from './parse.ts';
import { type ProxyConfig, parseNoProxy, parseProxy } from './proxy.ts';
import type { Environment } from './read.ts';
import type { ConfigProblem } from './variable.ts';

interface ProxyChoice {
  /** Null: there is no proxy, or it has a problem. */
  readonly proxy: ProxyConfig | null;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
}

/**
 * The variables of Node and curl that decide how Azure is reached: proxy and trusted certificates. `targets`: the https
 * origins that the service would send something to; null for one that has a problem of its own.
 */
export function readOutgoing(env: Environment, targets: readonly (string | null)[]): ProxyChoice {
  const { proxy, problems, warnings } = readProxy(env);
  const hosts = targets.flatMap((target) => (target === null ? [] : [new URL(target).hostname]));
  if (proxy?.protocol === 'https') hosts.push(proxy.host);
  return { proxy, problems: [...problems, ...extraCertificates(env), ...uncheckedTls(env, hosts)], warnings };
}

/** Where the credential signs in. Null for a managed identity, which is asked for on this machine or its host. */
export function authorityOf(credential: CredentialConfig | null): string | null {
  return credential === null || credential.type === 'managed' ? null : credential.authorityHost;
}

/**
 * In the order in which curl asks for them for a https URL: https://curl.se/docs/manpage.html#ENVIRONMENT. The service
 * sends nothing else, so http_proxy never counts.
 */
const proxyNames = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] as const;

/** Reads the variables of the proxy as curl does. No message holds a value, since most hold a password. */
export function readProxy(env: Environment): ProxyChoice {
  const textOf = (name: string): string => (env[name] ?? '').trim();
  const areSet = (names: readonly string[]) => names.filter((one) => textOf(one) !== '');
  const [name, ...later] = areSet(proxyNames);
  if (name === undefined) {
    const message = 'has no effect: Azure is reached by https, for which HTTPS_PROXY counts';
    const warnings = areSet(['http_proxy', 'HTTP_PROXY']).map((one) => ({ name: one, message }));
    return { proxy: null, problems: [], warnings };
  }
  const message = `has no effect, because ${name} is set and goes first, as with curl`;
  const warnings = later.filter((one) => env[one] !== env[name]).map((one) => ({ name: one, message }));
  const [exceptionName] = areSet(['no_proxy', 'NO_PROXY']);
  const { entries, wrong } = parseNoProxy(exceptionName === undefined ? '' : textOf(exceptionName));
  const wrongEntries =
    `has ${wrong === 1 ? 'an entry' : `${wrong} entries`} that can match no host; expected names ` +
    '(example.com, .example.com, *.example.com), addresses, CIDR blocks (10.0.0.0/8), each with :port if that is meant, ' +
    'or * for everything, separated by commas';
  const problems = wrong === 0 ? [] : [{ name: exceptionName ?? '', message: wrongEntries }];
  const parsed = parseProxy(textOf(name));
  if (!parsed.ok) {
    return { proxy: null, problems: [{ name, message: `the value ${parsed.problem}` }, ...problems], warnings };
  }
  const { hasPort, ...place } = parsed.value;
  if (!hasPort) {
    warnings.push({
      name,
      message: `names no port, so port ${place.port} of the proxy is used, as curl does; add the port`,
    });
  }
  return { proxy: { variable: name, ...place, exceptions: entries }, problems, warnings };
}

/**
 * Node takes `0` and nothing else for "check no certificate", in every connection of the process:
 * https://nodejs.org/api/cli.html#node_tls_reject_unauthorizedvalue
 */
function uncheckedTls(env: Environment, hosts: readonly string[]): ConfigProblem[] {
  const name = 'NODE_TLS_REJECT_UNAUTHORIZED';
  if (env[name] !== '0' || hosts.every(isLoopbackHost)) return [];
  const message =
    'is 0, so that secret, token and rows would go to anybody who answers; unset it. If a proxy inspects TLS, put its CA ' +
    'certificate (PEM) into a file that NODE_EXTRA_CA_CERTS names';
  return [{ name, message }];
}

/** Node itself only warns of a file that it cannot use, and every connection fails afterwards. */
function extraCertificates(env: Environment): ConfigProblem[] {
  const name = 'NODE_EXTRA_CA_CERTS';
  const file = env[name] ?? '';
  const problem = file === '' ? null : certificatesProblem(file);
  return problem === null ? [] : [{ name, message: fileProblem(file, problem) }];
}

function certificatesProblem(file: string): string | null {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch (error) {
    return cannotBeRead(error);
  }
  const found = text.match(/^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END \1CERTIFICATE-----/gm) ?? [];
  try {
    for (const pem of found) new X509Certificate(pem);
  } catch {
    return 'holds a certificate that cannot be read; export it again as PEM (Base64)';
  }
  return found.length === 0 ? 'holds no certificate in PEM (-----BEGIN CERTIFICATE-----)' : null;
}
