import { isIP } from 'node:net';
import { parseCidr } from './cidr.ts';
import { bad, good, type Parse } from './parsed.ts';

export const hostNamePattern =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;

/** What `server.listen` takes: an address or a name. `[::1]` loses its brackets. */
export const listenHost: Parse<string> = (text) => {
  const host = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text;
  // Digits and dots that are no address would be looked up as a name, and fail later with a puzzle.
  const plausible = isIP(host) !== 0 || (hostNamePattern.test(host) && !/^[0-9.]+$/.test(host));
  return plausible ? good(host) : bad('is no IP address and no host name (give the port separately)');
};

/** `host` as in a URL or a listener, IPv6 with or without brackets. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost') return true;
  if (isIP(bare) === 4) return bare.startsWith('127.');
  return isIP(bare) === 6 && new URL(`http://[${bare}]`).hostname === '[::1]';
}

/** Where a client on this machine reaches a listener on `host`: a wildcard address is listened on, never connected to. */
export function localAddress(host: string): string {
  if (isIP(host) === 4 && /^0+(\.0+)*$/.test(host)) return '127.0.0.1';
  if (isIP(host) === 6 && new URL(`http://[${host}]`).hostname === '[::]') return '::1';
  return host;
}

/** Comma-separated addresses and CIDR blocks. */
export const cidrList: Parse<readonly string[]> = (text) => {
  const entries = splitList(text);
  const wrong = entries.find((entry) => parseCidr(entry) === null);
  if (wrong === undefined) return good(entries);
  return bad(`${wrongEntry(wrong)}; expected IP addresses or CIDR blocks, separated by commas, such as 203.0.113.0/24`);
};

const namedBlocks = ['loopback', 'linklocal', 'uniquelocal'];

/**
 * Express' `trust proxy`: how many proxies stand in front, or which addresses they have.
 * https://expressjs.com/en/guide/behind-proxies.html
 */
export const trustProxy: Parse<number | readonly string[] | false> = (text) => {
  const lower = text.toLowerCase();
  if (lower === 'true') {
    return bad(
      'would believe any X-Forwarded-For, so that every caller could choose the address that is limited, logged and ' +
        'allowed; give the number of proxies in front (1) or their addresses (10.0.0.0/8)',
    );
  }
  if (lower === 'false' || text === '0') return good(false);
  if (/^[1-9][0-9]?$/.test(text)) return good(Number(text));
  const entries = splitList(lower);
  const wrong = entries.find((entry) => !namedBlocks.includes(entry) && parseCidr(entry) === null);
  if (wrong !== undefined) {
    return bad(
      `${wrongEntry(wrong)}; expected a number of proxies (0 to 99), or addresses, CIDR blocks, ${namedBlocks.join(', ')}, ` +
        'separated by commas',
    );
  }
  if (entries.some((entry) => parseCidr(entry)?.prefix === 0)) {
    return bad('trusts every address, which is what `true` means and is refused; name the addresses of the proxies');
  }
  return good(entries);
};

function splitList(text: string): string[] {
  return text.split(',').map((entry) => entry.trim());
}

function wrongEntry(entry: string): string {
  return entry === '' ? 'has an empty entry' : 'has an entry that is neither an address nor a CIDR block';
}
