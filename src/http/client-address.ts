import { BlockList, isIP, isIPv4 } from 'node:net';
import type { Request } from 'express';

/**
 * The address that a request comes from, by TRUST_PROXY. Some proxies (Azure Application Gateway) write a port behind
 * it in X-Forwarded-For: without taking it off, every connection would be another address.
 */
export function clientAddress(request: Request): string {
  const address = request.ip ?? '';
  const withPort = /^(?:\[(?<v6>[^\]]+)\]|(?<v4>[\d.]+))(?::\d{1,5})?$/.exec(address)?.groups;
  const bare = withPort?.['v6'] ?? withPort?.['v4'] ?? address;
  return isIP(bare) === 0 ? address : bare;
}

/**
 * Whether a proxy passed the request on that TRUST_PROXY does not know: its X-Forwarded-For is not believed, and all
 * callers behind it have its address.
 */
export function isFromUnknownProxy(request: Request): boolean {
  return request.headers['x-forwarded-for'] !== undefined && request.ips.length === 0;
}

/** Whether the address that a request comes from may send webhooks. No CIDRs: everybody may. What is no address may not. */
export function createAllowlist(cidrs: readonly string[]): (request: Request) => boolean {
  if (cidrs.length === 0) return () => true;
  const allowed = new BlockList();
  for (const cidr of cidrs) addTo(allowed, cidr);
  return (request) => {
    const address = clientAddress(request);
    const family = familyOf(address);
    return family !== null && allowed.check(address, family);
  };
}

function addTo(list: BlockList, cidr: string): void {
  const [network = '', prefix] = cidr.split('/');
  const family = familyOf(network);
  if (family === null) throw new TypeError(`"${cidr}" is not an address or CIDR; correct ALLOWED_CIDRS.`);
  if (prefix === undefined) list.addAddress(network, family);
  else list.addSubnet(network, Number(prefix), family);
}

function familyOf(address: string): 'ipv4' | 'ipv6' | null {
  if (isIP(address) === 0) return null;
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}
