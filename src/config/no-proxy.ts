import { BlockList, isIP } from 'node:net';
import { type Cidr, parseCidr } from './cidr.ts';

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
