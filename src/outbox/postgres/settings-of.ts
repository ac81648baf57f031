import { readFileSync } from 'node:fs';
import type { OutboxDatabase } from '../../config/config.ts';
import type { DatabaseSettings } from './settings.ts';

/** `token` gives a token for the database from Microsoft Entra; it is asked for where OUTBOX_URL asks for one. */
export function settingsOf(url: OutboxDatabase, token: () => Promise<string>): DatabaseSettings {
  const { host, port, database, user, password, entra } = url;
  return {
    host,
    port,
    database,
    user,
    password: entra ? token : password === null ? null : async () => password,
    tls: url.tls === 'off' ? null : tlsOf(url),
  };
}

function tlsOf({ tls, rootCertificateFile, certificateFile, keyFile }: OutboxDatabase): DatabaseSettings['tls'] {
  return {
    rejectUnauthorized: tls === 'verified',
    ...(rootCertificateFile !== null && { ca: readFileSync(rootCertificateFile) }),
    ...(certificateFile !== null && { cert: readFileSync(certificateFile) }),
    ...(keyFile !== null && { key: readFileSync(keyFile) }),
  };
}
