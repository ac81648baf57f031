import type { IncomingMessage } from 'node:http';
import { isIP, SocketAddress } from 'node:net';
import express from 'express';
import type { Config } from '../config/config.ts';

export type Clients = ReturnType<typeof createClients>;

/** More proxies in a row than anybody has; it bounds the work for one header. */
const maxHops = 100;

/**
 * Walks from the connection through X-Forwarded-For, from right to left, to the first address that TRUST_PROXY does not
 * trust. Express' own walk asks for trust with the entry as it is written, and takes anything for an address. So after
 * Azure's Application Gateway, which writes `address:port`, the inner proxy would be the client, and a trusted proxy
 * that passes on what it was sent could fill the memory with keys of 14 KB.
 */
export function createClients({ trustProxy, allowedCidrs }: Pick<Config['webhook'], 'trustProxy' | 'allowedCidrs'>) {
  const trusts = createTrust(trustProxy);
  const isInList = createTrust(allowedCidrs);
  const isAllowed = (address: string | null): boolean =>
    allowedCidrs.length === 0 || (address !== null && isInList(address, 0));
  return {
    /**
     * Where a request comes from. `address`: in its canonical form, IPv4 if it can be; null if the connection is gone.
     * `isAllowed`: whether ALLOWED_CIDRS let it send webhooks; without any every address may. False if a trusted proxy
     * named something that is not an address: `address` is that of the proxy then, and must not open the door.
     */
    clientOf(request: IncomingMessage): { readonly address: string | null; readonly isAllowed: boolean } {
      let address = addressOf(request.socket.remoteAddress ?? '');
      for (const [hop, entry] of forwardedFor(request).slice(-maxHops).reverse().entries()) {
        if (address === null || !trusts(address, hop)) break;
        const next = addressOf(entry);
        if (next === null) return { address, isAllowed: isAllowed(null) };
        address = next;
      }
      return { address, isAllowed: isAllowed(address) };
    },
    isFromTrustedProxy(remoteAddress: string | undefined): boolean {
      const address = addressOf(remoteAddress ?? '');
      return address !== null && trusts(address, 0);
    },
  };
}

/** Several headers are one list, which Node joins with commas. Empty elements are ignored (RFC 9110, 5.6.1). */
function forwardedFor({ headers }: IncomingMessage): string[] {
  const entries = String(headers['x-forwarded-for'] ?? '').split(',');
  return entries.map((entry) => entry.trim()).filter((entry) => entry !== '');
}

/**
 * The address that an entry names, or null. Proxies write it with a port, in brackets, in quotes, with the zone of a
 * link-local address, or as IPv4 within IPv6; each of these would otherwise count as another address.
 */
export function addressOf(entry: string): string | null {
  if (entry.length > 100) return null;
  const unquoted = entry.replace(/^"(.*)"$/, '$1');
  const withoutPort =
    /^\[([^\]]+)\](?::\d{1,5})?$/.exec(unquoted)?.[1] ?? unquoted.replace(/^([^:]*|.*:[\d.]+\.\d+):\d{1,5}$/, '$1');
  const bare = withoutPort.replace(/^(.*:.*)%.*$/, '$1');
  if (isIP(bare) === 0) return null;
  if (isIP(bare) === 4) return bare;
  const { address } = new SocketAddress({ address: bare, family: 'ipv6' });
  const inner = address.replace(/^::ffff:/, '');
  return isIP(inner) === 4 ? inner : address;
}

/** Express knows the names of blocks, and blocks written as IPv4 within IPv6. It does not take a prefix of 0. */
function createTrust(trustProxy: Config['webhook']['trustProxy']): (address: string, hop: number) => boolean {
  const trusted = Array.isArray(trustProxy) ? trustProxy.flatMap((block) => halves[block] ?? block) : trustProxy;
  return express().set('trust proxy', trusted).get('trust proxy fn');
}

const halves: Readonly<Record<string, readonly string[]>> = {
  '0.0.0.0/0': ['0.0.0.0/1', '128.0.0.0/1'],
  '::/0': ['::/1', '8000::/1'],
};
