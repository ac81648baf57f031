import { readFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { readCertificates } from './certificate.ts';
import { hostNamePattern, isLoopbackHost, parseCidr } from './parse.ts';
import type { Environment } from './read.ts';
import { bad, type ConfigProblem, fileProblem, problemOf, Refusal } from './variable.ts';

/**
 * The proxy that outgoing HTTPS goes through, by CONNECT. Holds a password: never logged as it is. `variable` named it,
 * as it is spelt in the environment; with `https` the connection to the proxy itself is encrypted; an IPv6 `host` has no
 * brackets; `login` is null where it is not signed in to.
 */
export type ProxyConfig = NonNullable<ReturnType<typeof readProxy>['proxy']>;

/** Whether an entry of NO_PROXY names that host, written in lower case and without brackets, at that port. */
type Exception = (host: string, port: number) => boolean;

const defaultPorts = { http: 1080, https: 443 } as const;
const form =
  'expected http://<user>:<password>@<host>:<port>, of which all but <host> may be left out; an IPv6 address has brackets';

/**
 * `[scheme://][user:password@]host[:port]`. Not by the URL class: to that `10.0.0.1:3128` is no URL, `proxy:3128` has the
 * scheme `proxy`, and a `#`, `/` or `\` in a password ends the host.
 */
function parseProxy(text: string) {
  const [, scheme = 'http', rest = text] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  const protocol = scheme.toLowerCase();
  if (protocol !== 'http' && protocol !== 'https') {
    return bad(`has another scheme than http and https (SOCKS is not supported); ${form}`);
  }
  if (/[^ -~\x80-\uffff]/.test(rest)) return bad(`holds a line break or another control character; ${form}`);
  const at = rest.lastIndexOf('@');
  const place = rest.slice(at + 1).replace(/[/?#\\].*$/, '');
  const [, bracketed, named = '', portText = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::([0-9]{0,5}))?$/.exec(place) ?? [];
  const host = bracketed ?? domainToASCII(named);
  const isHost = bracketed === undefined ? hostNamePattern.test(host) : isIP(host) === 6 && !host.includes('%');
  const port = portText === '' ? defaultPorts[protocol] : Number(portText);
  if (!isHost || port < 1 || port > 65_535) return bad(`names no host and port that can be reached; ${form}`);
  return { protocol, host, port, hasPort: portText !== '', login: at < 0 ? null : loginOf(rest.slice(0, at)) };
}

/** Percent-encoded or raw: a % without two hexadecimal digits stands for itself, as with curl. */
function loginOf(text: string) {
  const [, user = '', password = ''] = /^([^:]*):?(.*)$/s.exec(text) ?? [];
  return user === '' && password === '' ? null : { user: decode(user), password: decode(password) };
}

function decode(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (codes) => Buffer.from(codes.replaceAll('%', ''), 'hex').toString('utf8'));
}

/**
 * One entry of NO_PROXY, as curl reads it, and the forms that other programs have taught people: `host:port` and
 * `*.domain`. It is `*`, a block of addresses, or a host with every name below it. Null for one that could never match
 * anything.
 */
function parseException(item: string): Exception | null {
  if (item === '*') return () => true;
  const blockOf = (text: string) => parseCidr(text.replace(/^\[(.*)\](\/\d+)?$/, '$1$2'));
  // What ends like a port may be the end of an IPv6 address.
  const [, host = item, portText] = (blockOf(item) === null && /^(.*):(\d{1,5})$/.exec(item)) || [];
  const port = portText === undefined ? null : Number(portText);
  if (port !== null && (port < 1 || port > 65_535)) return null;
  const isAt = (askedPort: number) => port === null || port === askedPort;
  const block = blockOf(host);
  if (block !== null) {
    const list = new BlockList();
    list.addSubnet(block.address, block.prefix, block.family);
    return (asked, at) => isAt(at) && isIP(asked) !== 0 && list.check(asked, isIP(asked) === 6 ? 'ipv6' : 'ipv4');
  }
  const name = host.toLowerCase().replace(/^(\*\.|\.)|\.$/g, '');
  if (!/^[^\s/:*[\]@?#]+$/.test(name) || /^[\d.]+$/.test(name)) return null;
  return (asked, at) => isAt(at) && (asked === name || asked.endsWith(`.${name}`));
}

/** Azure's metadata service. It answers only what comes from the machine itself, so a proxy would get another machine's identity. */
const metadataService = '169.254.169.254';

export function usesProxy(proxy: ProxyConfig | null, url: URL): proxy is ProxyConfig {
  const host = url.hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return proxy !== null && host !== metadataService && !proxy.exceptions.some((names) => names(host, port));
}

/** For people, without user and password: `http://proxy.example:3128 (HTTPS_PROXY)`. */
export function describeProxy({ variable, protocol, host, port, login }: ProxyConfig): string {
  const place = `${protocol}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  return `${place} (${variable}${login === null ? '' : ', with user and password'})`;
}

/**
 * The variables of Node and curl that decide how Azure is reached: proxy and trusted certificates. `targets`: the https
 * origins that the service would send something to; null for one that has a problem of its own.
 */
export function readOutgoing(env: Environment, targets: readonly (string | null)[]) {
  const { proxy, problems, warnings } = readProxy(env);
  const hosts = targets.map((target) => (target === null ? 'unknown' : new URL(target).hostname));
  if (proxy?.protocol === 'https') hosts.push(proxy.host);
  return { proxy, problems: [...problems, ...extraCertificates(env), ...uncheckedTls(env, hosts)], warnings };
}

/**
 * In the order in which curl asks for them for a https URL: https://curl.se/docs/manpage.html#ENVIRONMENT. The service
 * sends nothing else, so http_proxy never counts.
 */
const proxyNames = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] as const;

/**
 * Reads the variables of the proxy as curl does; null: there is no proxy, or it has a problem. No message holds a
 * value, since most hold a password.
 */
export function readProxy(env: Environment) {
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
  const [exceptionName = 'NO_PROXY'] = areSet(['no_proxy', 'NO_PROXY']);
  const entries = textOf(exceptionName).match(/[^\s,]+/g) ?? [];
  const exceptions: readonly Exception[] = entries.map(parseException).filter((entry) => entry !== null);
  const wrongEntry =
    'has an entry that can match no host; expected names (example.com, .example.com, *.example.com), addresses, CIDR ' +
    'blocks (10.0.0.0/8), each with :port if that is meant, or * for everything, separated by commas';
  const problems = exceptions.length === entries.length ? [] : [{ name: exceptionName, message: wrongEntry }];
  const parsed = parseProxy(textOf(name));
  if (parsed instanceof Refusal) {
    problems.unshift({ name, message: `the value ${parsed.message}` });
    return { proxy: null, problems, warnings };
  }
  const { hasPort, ...place } = parsed;
  const noPort = `names no port, so port ${place.port} of the proxy is used, as curl does; add the port`;
  if (!hasPort) warnings.push({ name, message: noPort });
  return { proxy: { variable: name, ...place, exceptions }, problems, warnings };
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
  const block = /^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END \1CERTIFICATE-----/gm;
  let problem = 'holds no certificate in PEM (-----BEGIN CERTIFICATE-----)';
  try {
    if (readCertificates(readFileSync(file, 'latin1').match(block) ?? []).length > 0) return [];
  } catch (error) {
    problem = problemOf(error);
  }
  return [{ name, message: fileProblem(file, problem) }];
}
