// Preloaded into the real process: while the file exists, no name resolves, as when the resolver is away.
import dns from 'node:dns';
import { existsSync } from 'node:fs';
import process from 'node:process';

const { lookup } = dns;

dns.lookup = (hostname, options, callback) => {
  const answer = typeof options === 'function' ? options : callback;
  if (!existsSync(process.env['TEST_NO_DNS_FILE'] ?? '')) return lookup(hostname, options, callback);
  const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND', hostname });
  process.nextTick(answer, error);
};
