import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { type Cidr, hostNamePattern, parseCidr } from './parse.ts';
import type { Environment } from './read.ts';
import { bad, type ConfigProblem, good, type Parse, type Parsed } from './variable.ts';

/** The proxy that outgoing HTTPS goes through, by CONNECT. Holds a password: never logged as it is. */
export interface ProxyConfig {
  /** The variable that named it, as it is spelt in the environment. */
  readonly variable: string;
  /** `https`: the connection to the proxy itself is encrypted. */
  readonly protocol: 'http' | 'https';
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Null: it is not signed in to. */
  readonly login: { readonly user: string; readonly password: string } | null;
  /** NO_PROXY. */
  readonly exceptions: readonly ProxyException[];
}

export interface ProxyChoice {
  /** Null: there is no proxy, or it has a problem. */
  readonly proxy: ProxyConfig | null;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
}

/**
 * In the order in which curl asks for them for a https URL: https://curl.se/docs/manpage.html#ENVIRONMENT. The service
 * sends nothing else, so http_proxy never counts.
 */
const proxyNames = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] as const;
const exceptionNames = ['no_proxy', 'NO_PROXY'] as const;
const httpNames = ['http_proxy', 'HTTP_PROXY'] as const;

const defaultPorts = { http: 1080, https: 443 } as const;

/** Reads the variables of the proxy as curl does. No message holds a value, since most hold a password. */
export function readProxy(env: Environment): ProxyChoice {
  const [name, ...later] = proxyNames.filter((one) => isSet(env, one));
  if (name === undefined) {
    const warnings = httpNames
      .filter((one) => isSet(env, one))
      .map((one) => ({ name: one, message: 'has no effect: Azure is reached by https, for which HTTPS_PROXY counts' }));
    return { proxy: null, problems: [], warnings };
  }
  const warnings: ConfigProblem[] = later
    .filter((one) => env[one] !== env[name])
    .map((one) => ({ name: one, message: `has no effect, because ${name} is set and goes first, as with curl` }));
  const parsed = proxyUrl((env[name] ?? '').trim());
  const { exceptions, problems } = readExceptions(env);
  if (!parsed.ok) {
    return { proxy: null, problems: [{ name, message: `the value ${parsed.problem}` }, ...problems], warnings };
  }
  const { hasPort, ...proxy } = parsed.value;
  if (!hasPort) {
    const message = `names no port, so port ${proxy.port} of the proxy is used, as curl does; add the port`;
    warnings.push({ name, message });
  }
  return { proxy: { variable: name, ...proxy, exceptions }, problems, warnings };
}

function readExceptions(env: Environment): { exceptions: readonly ProxyException[]; problems: ConfigProblem[] } {
  const name = exceptionNames.find((one) => isSet(env, one));
  if (name === undefined) return { exceptions: [], problems: [] };
  const { entries, wrong } = parseNoProxy(env[name] ?? '');
  if (wrong.length === 0) return { exceptions: entries, problems: [] };
  const message =
    `has ${wrong.length === 1 ? 'an entry' : `${wrong.length} entries`} that can match no host; expected names ` +
    '(example.com, .example.com, *.example.com), addresses, CIDR blocks (10.0.0.0/8), each with :port if that is meant, ' +
    'or * for everything, separated by commas';
  return { exceptions: entries, problems: [{ name, message }] };
}

type Named = Omit<ProxyConfig, 'variable' | 'exceptions'> & { readonly hasPort: boolean };

const form = 'expected http://<user>:<password>@<host>:<port>, of which all but <host> may be left out';

/**
 * `[scheme://][user:password@]host[:port]`. Not by the URL class: to that `10.0.0.1:3128` is no URL, `proxy:3128` has the
 * scheme `proxy`, and a `#`, `/` or `\` in a password ends the host.
 */
const proxyUrl: Parse<Named> = (text) => {
  const [, scheme = 'http', rest = text] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  const protocol = scheme.toLowerCase();
  if (/^socks/.test(protocol)) return bad(`names a SOCKS proxy, which is not supported; ${form}`);
  if (protocol !== 'http' && protocol !== 'https') return bad(`has another scheme than http and https; ${form}`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(rest)) return bad(`holds a line break or another control character; ${form}`);
  const at = rest.lastIndexOf('@');
  const place = placeOf(rest.slice(at + 1).replace(/[/?#\\].*$/, ''), protocol);
  if (!place.ok) return place;
  return good({ protocol, ...place.value, login: at < 0 ? null : loginOf(rest.slice(0, at)) });
};

function placeOf(
  text: string,
  protocol: 'http' | 'https',
): Parsed<{ readonly host: string; readonly port: number; readonly hasPort: boolean }> {
  if (isIP(text) === 6) return bad(`names an IPv6 address without brackets; ${form}`);
  const [, bracketed, named, portText = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(text) ?? [];
  if (bracketed === undefined && named === undefined) return bad(`has more than a port after the host; ${form}`);
  if (portText !== '' && !/^[0-9]{1,5}$/.test(portText)) return bad(`has a port that is no number; ${form}`);
  const port = portText === '' ? defaultPorts[protocol] : Number(portText);
  if (port < 1 || port > 65_535) return bad('has a port that is not from 1 to 65535');
  const host = bracketed ?? domainToASCII(named ?? '');
  const isHost = bracketed === undefined ? hostNamePattern.test(host) : isIP(bracketed) === 6 && !host.includes('%');
  return isHost ? good({ host, port, hasPort: portText !== '' }) : bad(`names no host that could be one; ${form}`);
}

/** Percent-encoded or raw: what is no code of two hexadecimal digits stands for itself, as with curl. */
function loginOf(text: string): { user: string; password: string } | null {
  const colon = text.indexOf(':');
  const user = decode(colon < 0 ? text : text.slice(0, colon));
  const password = colon < 0 ? '' : decode(text.slice(colon + 1));
  return user === '' && password === '' ? null : { user, password };
}

function decode(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (codes) => Buffer.from(codes.replaceAll('%', ''), 'hex').toString('utf8'));
}

function isSet(env: Environment, name: string): boolean {
  return (env[name] ?? '').trim() !== '';
}

/** Whether `url` is reached through the proxy. */
export function usesProxy(proxy: ProxyConfig | null, url: URL): proxy is ProxyConfig {
  return proxy !== null && !bypassesProxy(proxy.exceptions, url);
}

/** For people, without user and password: `http://proxy.example:3128 (HTTPS_PROXY)`. */
export function describeProxy({ variable, protocol, host, port, login }: ProxyConfig): string {
  const place = `${protocol}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  return `${place} (${variable}${login === null ? '' : ', with user and password'})`;
}

/** One entry of NO_PROXY. A null port stands for every port. */
export type ProxyException =
  | { readonly type: 'all' }
  /** The host itself and every name below it. */
  | { readonly type: 'name'; readonly name: string; readonly port: number | null }
  | { readonly type: 'block'; readonly block: Cidr; readonly port: number | null };

/** Azure's metadata service. It answers only what comes from the machine itself, so a proxy would get another machine's identity. */
const metadataService = '169.254.169.254';

/**
 * Reads NO_PROXY as curl does, and the forms that other programs have taught people: `host:port` and `*.domain`. Commas
 * and white space separate entries. An entry that could never match anything is in `wrong`.
 */
export function parseNoProxy(text: string): { entries: ProxyException[]; wrong: string[] } {
  const entries: ProxyException[] = [];
  const wrong: string[] = [];
  for (const item of text.split(/[\s,]+/).filter((part) => part !== '')) {
    const entry = parseEntry(item);
    if (entry === null) wrong.push(item);
    else entries.push(entry);
  }
  return { entries, wrong };
}

function parseEntry(item: string): ProxyException | null {
  if (item === '*') return { type: 'all' };
  const bare = parseCidr(item.replace(/^\[(.*)\](\/\d+)?$/, '$1$2'));
  if (bare !== null) return { type: 'block', block: bare, port: null };
  const [, host = item, portText] = /^(.*):(\d{1,5})$/.exec(item) ?? [];
  const port = portText === undefined ? null : Number(portText);
  if (port !== null && (port < 1 || port > 65_535)) return null;
  const block = parseCidr(host.replace(/^\[(.*)\]$/, '$1'));
  if (block !== null) return { type: 'block', block, port };
  const name = host
    .toLowerCase()
    .replace(/^(\*\.|\.)/, '')
    .replace(/\.$/, '');
  return /^[^\s/:*[\]@?#]+$/.test(name) && !/^[\d.]+$/.test(name) ? { type: 'name', name, port } : null;
}

/** Whether a request to `url` goes straight to its host although a proxy is set. */
export function bypassesProxy(exceptions: readonly ProxyException[], url: URL): boolean {
  const host = url.hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  if (host === metadataService) return true;
  return exceptions.some((entry) => {
    if (entry.type === 'all') return true;
    if (entry.port !== null && entry.port !== port) return false;
    return entry.type === 'name' ? host === entry.name || host.endsWith(`.${entry.name}`) : holds(entry.block, host);
  });
}

function holds({ address, prefix, family }: Cidr, host: string): boolean {
  const version = isIP(host);
  if (version === 0) return false;
  const list = new BlockList();
  list.addSubnet(address, prefix, family);
  return list.check(host, version === 4 ? 'ipv4' : 'ipv6');
}
