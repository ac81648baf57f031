import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CredentialConfig } from './config.ts';
import { isLoopbackHost } from './parse.ts';
import { type ProxyChoice, readProxy } from './proxy.ts';
import type { Environment } from './read.ts';
import type { ConfigProblem } from './variable.ts';

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

/** Where the credential is checked; a managed identity is asked for on this machine or its host. */
export function authorityOf(credential: CredentialConfig | null): string | null {
  return credential === null || credential.type === 'managed' ? null : credential.authorityHost;
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
  if (file === '') return [];
  const problem = (what: string): ConfigProblem[] => [
    { name, message: `names ${JSON.stringify(file)}, which ${what}` },
  ];
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch (error) {
    return problem(`cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown'})`);
  }
  const certificates =
    text.match(/^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END \1CERTIFICATE-----/gm) ?? [];
  if (certificates.length === 0) return problem('holds no certificate in PEM (-----BEGIN CERTIFICATE-----)');
  const isBroken = certificates.some((certificate) => !isCertificate(certificate));
  return isBroken ? problem('holds a certificate that cannot be read; export it again as PEM (Base64)') : [];
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== null;
  } catch {
    return false;
  }
}
