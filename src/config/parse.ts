import { isIP } from 'node:net';
import { parseIsoTime } from '../ground/clock.ts';
import type { CloudSettings } from './clouds.ts';
import { holdsReference, secretProblem } from './secret-text.ts';
import { bad, type Parse, Refusal, tildeProblem } from './variable.ts';

/** Digits only: `1e3`, `0x10`, `+5`, ` 5` and `08` are typing errors more often than numbers. Both bounds are included. */
export function integer(min: number, max: number): Parse<number> {
  return (text) => {
    const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : bad(`is not a whole number from ${min} to ${max}`);
  };
}

export function choice<const T extends string>(allowed: readonly T[]): Parse<T> {
  return (text) => {
    const found = allowed.find((word) => word === text.toLowerCase());
    return found === undefined ? bad(`must be one of ${allowed.join(', ')}`) : found;
  };
}

/** Milliseconds since the epoch. */
export const date: Parse<number> = (text) => {
  const timeMs = parseIsoTime(text);
  return timeMs === null ? bad('is no date, expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ') : timeMs;
};

export const path: Parse<string> = (text) => {
  if (text.includes('\0')) return bad('holds a NUL character, expected a path');
  if (holdsReference(text)) return bad('holds a reference that was not resolved, expected a path');
  const problem = tildeProblem(text);
  return problem === null ? text : bad(problem);
};

export const hostNamePattern =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;

/** What `server.listen` takes: an address or a name. `[::1]` loses its brackets. */
export const listenHost: Parse<string> = (text) => {
  const host = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text;
  // Digits and dots that are not an address would be looked up as a name, and fail later with an obscure error.
  const plausible = isIP(host) !== 0 || (hostNamePattern.test(host) && !/^[0-9.]+$/.test(host));
  return plausible ? host : bad('is no IP address and no host name (give the port separately)');
};

/** `host` as in a URL or a listener, IPv6 with or without brackets. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (isIP(bare) === 0) return bare === 'localhost';
  return isIP(bare) === 4 ? bare.startsWith('127.') : new URL(`http://[${bare}]`).hostname === '[::1]';
}

/** `10.0.0.0/8`, `2001:db8::/32`, or a single address, which is a block of one; null for any other text. */
export function parseCidr(text: string) {
  const [, address = '', prefixText] = /^([^/%]+)(?:\/(0|[1-9][0-9]{0,2}))?$/.exec(text) ?? [];
  const version = isIP(address);
  const bits = version === 4 ? 32 : 128;
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  if (version === 0 || prefix > bits) return null;
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' } as const;
}

/** Addresses, blocks of them, and the names that are `named`, separated by commas. */
function readList(text: string, named: readonly string[], expected: string): readonly string[] | Refusal {
  const entries = text.split(',').map((entry) => entry.trim());
  const isRight = entries.every((entry) => named.includes(entry) || parseCidr(entry) !== null);
  const problem = 'has an empty entry, or one that is neither an address nor a CIDR block';
  return isRight ? entries : bad(`${problem}; expected ${expected}`);
}

export const cidrList: Parse<readonly string[]> = (text) =>
  readList(text, [], 'IP addresses or CIDR blocks, separated by commas, such as 203.0.113.0/24');

const namedBlocks = ['loopback', 'linklocal', 'uniquelocal'];

/**
 * Express' `trust proxy`: how many proxies stand in front, or which addresses they have; `true` is every address.
 * https://expressjs.com/en/guide/behind-proxies.html
 */
export const trustProxy: Parse<number | readonly string[] | false> = (text) => {
  const lower = text.toLowerCase();
  if (lower === 'false' || text === '0') return false;
  if (/^[1-9][0-9]?$/.test(text)) return Number(text);
  const expected = `a number of proxies (0 to 99), or addresses, CIDR blocks, ${namedBlocks.join(', ')}, separated by commas`;
  const list = lower === 'true' ? ['0.0.0.0/0'] : readList(lower, namedBlocks, expected);
  if (list instanceof Refusal || list.every((entry) => parseCidr(entry)?.prefix !== 0)) return list;
  return bad(
    'trusts every address and would believe any X-Forwarded-For, so that every caller could choose the address that is ' +
      'limited, logged and allowed; give the number of proxies in front (1) or their addresses (10.0.0.0/8)',
  );
};

/** An https origin and nothing behind it. A slash at the end is fine and is cut. */
export const httpsOrigin: Parse<string> = (text) => {
  const url = /\s/.test(text) ? null : URL.parse(text);
  if (url === null || !/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return bad('is no URL, expected https://<host>');
  if (url.protocol !== 'https:') return bad('does not start with https://, and a token is never sent without TLS');
  if (url.username !== '' || url.password !== '') return bad('holds a user name or password, expected https://<host>');
  // Compared with the text since URL drops an empty query and an empty fragment.
  if (url.pathname !== '/' || /[?#]/.test(text)) {
    return bad(`has something behind the host, expected ${url.origin} alone`);
  }
  return url.origin;
};

/**
 * Why nothing may be sent to this ingestion endpoint; null for one of these clouds, and for loopback, where an emulator
 * is. Whoever can change the endpoint would get every event and a token, so it is not just any host.
 */
export function ingestionHostProblem(origin: string, clouds: readonly CloudSettings[]): string | null {
  const { hostname, port } = new URL(origin);
  if (isLoopbackHost(hostname)) return null;
  const suffixes = clouds.map(({ ingestionHostSuffix }) => ingestionHostSuffix);
  if (!suffixes.some((suffix) => hostname.endsWith(suffix) && hostname.length > suffix.length)) {
    const expected = suffixes.map((suffix) => `https://<name>${suffix}`).join(' or ');
    return (
      `is no ingestion endpoint of this cloud, expected ${expected}: endpoints.logsIngestion of the data collection rule, ` +
      'or logsIngestion.endpoint of the data collection endpoint (AZURE_CLOUD decides the suffix)'
    );
  }
  return port === '' ? null : `names port ${port}, but Azure listens on 443 only`;
}

export const ruleId: Parse<string> = (text) => {
  if (/^dcr-[0-9a-f]{32}$/i.test(text)) return text;
  return bad(
    'is no immutable id of a data collection rule, expected dcr- and 32 hexadecimal digits: the immutableId in the JSON ' +
      'view of the rule (its resource id belongs in DATA_COLLECTION_RULE_RESOURCE_ID)',
  );
};

/** An ARM resource id. `type` as in `Microsoft.Insights/dataCollectionRules`; case does not matter to ARM. */
export function armId(type: string): Parse<string> {
  const pattern = new RegExp(
    `^/subscriptions/[A-Za-z0-9-]+/resourceGroups/[^/\\s?#<>]+/providers/${type.replaceAll('.', '\\.')}/[^/\\s?#<>]+$`,
    'i',
  );
  const problem = `is no resource id, expected /subscriptions/<id>/resourceGroups/<name>/providers/${type}/<name>`;
  return (text) => (pattern.test(text) && !holdsReference(text) ? text : bad(problem));
}

/** Null: `off`. */
export const streamName: Parse<string | null> = (text) => {
  if (text.toLowerCase() === 'off') return null;
  if (/^Custom-[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text)) return text;
  return bad(
    'is no stream name, expected Custom-<name> as under streamDeclarations in the data collection rule, or `off`',
  );
};

/** The SDK's own rule (checkTenantId in @azure/identity), less the names that no application can sign in to. */
export const tenantId: Parse<string> = (text) => {
  const isOne = /^[0-9a-zA-Z-.]+$/.test(text) && !/^(common|organizations|consumers)$/i.test(text);
  return isOne ? text : bad('is no tenant that an application can sign in to, expected its GUID or domain name');
};

export const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Entra makes its secrets of letters, digits and a few signs, and shows the id of each beside it. */
export const clientSecret: Parse<string> = (text) => {
  if (guid.test(text)) {
    return bad("is a GUID, so it is the secret's ID; set the secret's Value, which is shown once when it is made");
  }
  return secretProblem(text) ?? text;
};

export const clientId: Parse<string> = (text) =>
  /^[0-9a-zA-Z._-]+$/.test(text) ? text : bad('is no client id, expected a GUID');
