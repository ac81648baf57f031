import { isIP } from 'node:net';
import { holdsReference, notMeantAsSecret } from './secret-text.ts';
import { bad, good, type Parse } from './variable.ts';

/** Digits only: `1e3`, `0x10`, `+5`, ` 5` and `08` are typing errors more often than numbers. Both bounds are included. */
export function integer(min: number, max: number): Parse<number> {
  return (text) => {
    const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? good(value) : bad(`is not a whole number from ${min} to ${max}`);
  };
}

/** One of some words, in any case. */
export function choice<const T extends string>(allowed: readonly T[]): Parse<T> {
  return (text) => {
    const found = allowed.find((word) => word === text.toLowerCase());
    return found === undefined ? bad(`is none of ${allowed.join(', ')}`) : good(found);
  };
}

const minSecretCharacters = 16;

/**
 * A secret that somebody sends us in a header. Control characters are not allowed there, and spaces at the ends are cut
 * on the way (RFC 9110, 5.5), so that such a secret could never match. A character outside ASCII arrives as other bytes
 * from one client than from another, and most of those that are found in a secret were pasted by mistake.
 */
export const headerSecret: Parse<string> = (text) => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]|^ | $/.test(text)) {
    return bad(
      'holds a line break, another control character or a space at its end, which cannot be sent in a header; ' +
        'use letters, digits and signs, for instance from `openssl rand -hex 32`',
    );
  }
  const notMeant = notMeantAsSecret(text);
  if (notMeant !== null) return bad(notMeant);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is what is allowed
  if (/[^\u0000-\u007f]/.test(text)) {
    return bad(
      'holds a character outside ASCII; use letters, digits and signs, for instance from `openssl rand -hex 32`',
    );
  }
  if (text.length < minSecretCharacters) {
    return bad(
      `is ${text.length} characters long, expected at least ${minSecretCharacters}; make one with \`openssl rand -hex 32\``,
    );
  }
  return good(text);
};

/** `2027-01-31`, which means its beginning in UTC, or an ISO time; UTC where it names no zone. Milliseconds since the epoch. */
export const date: Parse<number> = (text) => {
  const [, day, time = 'T00:00:00', zone = 'Z'] =
    /^(\d{4}-\d{2}-\d{2})([Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?([Zz]|[+-]\d{2}:\d{2})?$/.exec(text) ?? [];
  const timeMs =
    day === undefined ? Number.NaN : Date.parse(`${day}${time.replace(' ', 'T').toUpperCase()}${zone.toUpperCase()}`);
  // Date.parse takes the 31st of February for the 3rd of March.
  const startMs = Date.parse(`${day}T00:00:00Z`);
  const isDay = day !== undefined && !Number.isNaN(startMs) && new Date(startMs).toISOString().startsWith(day);
  return isDay && !Number.isNaN(timeMs) ? good(timeMs) : bad('is no date, expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ');
};

/** A secret of somebody else's making, taken as it is unless nobody can have meant it as one. */
export const opaqueSecret: Parse<string> = (text) => {
  const notMeant = notMeantAsSecret(text);
  return notMeant === null ? good(text) : bad(notMeant);
};

export const path: Parse<string> = (text) => {
  if (text.includes('\0')) return bad('holds a NUL character, expected a path');
  if (holdsReference(text)) return bad('holds a reference that was not resolved, expected a path');
  return startsWithTilde(text) ? bad(tildeProblem) : good(text);
};

/** `~`, `~/data`, `~name/data`: the service would make a folder of that name. */
export function startsWithTilde(text: string): boolean {
  return /^~[\w.-]*([/\\]|$)/.test(text);
}

export const tildeProblem =
  'starts with ~, which a shell replaces by a home folder and this service does not; write the whole path';

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

/** A block of addresses. A single address is a block of one. */
export interface Cidr {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** `10.0.0.0/8`, `2001:db8::/32` or a single address; null when it is neither. */
export function parseCidr(text: string): Cidr | null {
  const [address = '', prefixText, ...rest] = text.split('/');
  const version = isIP(address);
  // A zone (`fe80::1%eth0`) names an interface of this machine: no block of addresses has one.
  if (version === 0 || rest.length > 0 || address.includes('%')) return null;
  const bits = version === 4 ? 32 : 128;
  if (prefixText !== undefined && !/^(0|[1-9][0-9]{0,2})$/.test(prefixText)) return null;
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  return prefix > bits ? null : { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}
