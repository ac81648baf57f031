import { sqlState } from './sql-state.ts';

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const BY_STATE: Readonly<Record<string, string>> = {
  '28P01': 'Check user and password in OUTBOX_URL; with auth=entra, that the role was made for this identity.',
  '28000':
    'The server lets this user in from here under no rule: check pg_hba.conf, whether it asks for encryption ' +
    '(sslmode=verify-full), and the role.',
  '3D000': 'Make that database, or correct its name in OUTBOX_URL.',
  '42501':
    'The user of OUTBOX_URL must be able to connect, and to create a schema or own the schema of the service: check ' +
    'its grants.',
  '53100': 'Free some space on the server, then start again; nothing was lost.',
  '53300': 'Raise max_connections of the server, or the connection limit of the role: a replica opens up to nine.',
  '57P03': 'Nothing, if the server is starting; else look at its log.',
};

/** Of Node, of OpenSSL, and of pg, which has no codes. The first that is found in code and message counts. */
const BY_TEXT: readonly (readonly [pattern: RegExp, fix: string])[] = [
  [
    /ENOTFOUND|EAI_AGAIN|ENODATA/,
    'The host in OUTBOX_URL does not resolve. Check its spelling and the DNS of this machine or container; with a private ' +
      'endpoint, its zone must be linked to this network.',
  ],
  [
    /ECONNREFUSED/,
    'Nothing listens there: check host and port in OUTBOX_URL, and whether the server runs and listens there.',
  ],
  [
    /does not support SSL/,
    'The server does not encrypt: turn `ssl` on there. sslmode=disable in OUTBOX_URL is for a server on this machine.',
  ],
  [
    /ALTNAME|does not match certificate/,
    'The certificate is for another name: OUTBOX_URL must name the host as it does.',
  ],
  [
    /CERT_(HAS_EXPIRED|NOT_YET_VALID)/,
    'The certificate of the server is out of date: renew it there, and check the clock of this machine.',
  ],
  [
    /certificate|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)/i,
    'The certificate of the server is not trusted here: name its CA with sslrootcert=<file> in OUTBOX_URL.',
  ],
  [
    /SilenceError|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|timeout/i,
    'Nothing answers there: check host and port in OUTBOX_URL, and that firewalls and security groups let this machine through.',
  ],
];

/** What a person has to do about an error of connecting, signing in or migrating. */
export function fixFor(error: unknown): string {
  const state = sqlState(error);
  const known = state === null ? null : BY_STATE[state];
  if (known != null) return known;
  const found = BY_TEXT.find(([pattern]) => pattern.test(textOf(error)));
  return found?.[1] ?? 'Check OUTBOX_URL and the server, then start again; nothing was changed.';
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // What is left of several addresses that were tried has no message of its own.
  if (error instanceof AggregateError) return error.errors.map(textOf).join(' ');
  return `${error.name} ${'code' in error ? String(error.code) : ''} ${error.message}`;
}
