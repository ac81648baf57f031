import { isLoopbackHost } from './parse.ts';
import { holdsReference } from './secret-text.ts';
import { accessProblem, bad, type ConfigProblem, good, type Parse, tildeProblem } from './variable.ts';

/** Hosts of Azure Database for PostgreSQL, by cloud: `az cloud show --query suffixes.postgresqlServerEndpoint`. */
const azureHosts = [
  '.postgres.database.azure.com',
  '.postgres.database.usgovcloudapi.net',
  '.postgres.database.chinacloudapi.cn',
] as const;

/**
 * As pg 8 takes them: all that verify anything verify certificate and host name. `prefer` falls back to nothing there,
 * but to an unencrypted connection in libpq, so nobody who writes it can have meant a password to be safe.
 */
const verifyingModes = ['prefer', 'require', 'verify-ca', 'verify-full'];
const sslModes = ['disable', 'no-verify', ...verifyingModes];
const parameters = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'host', 'auth'];

const form = 'expected postgres://<user>:<password>@<host>:5432/<database>?sslmode=verify-full';
const encode = 'with %-codes for other characters than letters, digits, - . _ ~ in user and password';

const noHost = 'socket.invalid';

/**
 * `host` is a name, an address, or the folder of a Unix socket. `entra`: a token of Microsoft Entra, from the same
 * credential as everywhere, stands in for the password. `tls` is `unverified` if it is encrypted to whoever answers.
 */
export type OutboxDatabase = Extract<ReturnType<typeof withSecurity>, { ok: true }>['value'];

/** `postgres://…`. What it says of a problem never quotes the value, which holds a password. */
export const outboxUrl: Parse<OutboxDatabase> = (text) => {
  // The URL standard refuses a user without a host, which a socket has.
  const url = URL.parse(text) ?? URL.parse(text.replace('@/', `@${noHost}/`));
  if (url === null || !['postgres:', 'postgresql:'].includes(url.protocol) || url.hash !== '') {
    return bad(`is no URL of a PostgreSQL database, ${form}, ${encode}`);
  }
  const given = [...url.searchParams.keys()];
  if (!given.every((name) => parameters.includes(name))) {
    return bad(`has a parameter that is not known, or known elsewhere only; known are ${parameters.join(', ')}`);
  }
  if (new Set(given).size < given.length) return bad('has a parameter twice');
  const place = readPlace(url);
  return place.ok ? withSecurity(place.value, url.searchParams) : place;
};

function readPlace(url: URL) {
  const user = decoded(url.username);
  const password = decoded(url.password);
  const database = decoded(url.pathname.slice(1));
  const socket = url.searchParams.get('host');
  const host = url.hostname === noHost ? '' : url.hostname.replace(/^\[(.+)\]$/, '$1');
  if (user === null || password === null || database === null) return bad(`has a % without a code, ${encode}`);
  if (password !== null && holdsReference(password)) {
    return bad(`has a password that is a reference nobody resolved or a placeholder, ${form}`);
  }
  if (user === '') return bad(`names no user, ${form}`);
  if (database === '' || database.includes('/')) return bad(`names no database behind the host, ${form}`);
  if (socket === null ? host === '' : host !== '' || !socket.startsWith('/')) {
    return bad(`names no host, ${form}; or ?host=/<folder> of a Unix socket`);
  }
  const place = { host: socket ?? decoded(host) ?? host, port: url.port === '' ? 5432 : Number(url.port), database };
  return good({ ...place, user, password: password === '' ? null : password });
}

type Place = Extract<ReturnType<typeof readPlace>, { ok: true }>['value'];

function withSecurity(place: Place, params: URLSearchParams) {
  const { host, password } = place;
  const auth = params.get('auth');
  const mode = params.get('sslmode');
  const certificate = params.get('sslcert');
  const key = params.get('sslkey');
  const isAzure = azureHosts.some((suffix) => host.toLowerCase().endsWith(suffix));
  const entra = auth === 'entra' || (isAzure && password === null && certificate === null);
  if (auth !== null && auth !== 'entra') return bad('has another auth than entra, the only one to be named');
  if (entra && password !== null) return bad('has a password and auth=entra, which signs in with a token; keep one');
  if (mode !== null && !sslModes.includes(mode)) return bad(`has an sslmode that is none of ${sslModes.join(', ')}`);
  if ((certificate === null) !== (key === null)) return bad('has one of sslcert and sslkey without the other');
  const verifies = mode === null ? entra || params.has('sslrootcert') : verifyingModes.includes(mode);
  if (entra && !verifies && !isLoopback(host)) {
    return bad('would send a token of Entra to a server that is not verified; set sslmode=verify-full');
  }
  const unsafe = problemElsewhere(place, mode);
  if (unsafe !== null) return bad(unsafe);
  const encrypted = verifies || certificate !== null ? 'verified' : mode === 'no-verify' ? 'unverified' : 'off';
  const tls: typeof encrypted = mode === 'disable' ? 'off' : encrypted;
  return good({
    ...place,
    entra,
    tls,
    rootCertificateFile: params.get('sslrootcert'),
    certificateFile: certificate,
    keyFile: key,
  });
}

/** Only for a server on this machine may sslmode be left out or a password be sent in the clear. */
function problemElsewhere({ host, password }: Place, mode: string | null): string | null {
  if (isLoopback(host)) return null;
  if (mode === null) {
    return 'names a server on another machine and has no sslmode; add ?sslmode=verify-full, and sslrootcert=<file> for a CA of your own';
  }
  if (password === null || (mode !== 'disable' && mode !== 'prefer')) return null;
  return `would let the password travel unencrypted to another machine (sslmode=${mode}); turn \`ssl\` on at the server and set sslmode=verify-full`;
}

/** Also the folder of a Unix socket: what is sent does not leave the machine. */
function isLoopback(host: string): boolean {
  return host.startsWith('/') || isLoopbackHost(host);
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** The first file that OUTBOX_URL names and that cannot be read; null: there is none. */
export function outboxFileProblem(database: OutboxDatabase | null): string | null {
  const { rootCertificateFile: sslrootcert, certificateFile: sslcert, keyFile: sslkey } = database ?? {};
  for (const [name, file] of Object.entries({ sslrootcert, sslcert, sslkey })) {
    const problem = file == null ? null : (tildeProblem(file) ?? accessProblem(file));
    if (problem !== null) return `names ${JSON.stringify(file)} as ${name}, which ${problem}`;
  }
  return null;
}

export function outboxWarnings(database: OutboxDatabase | null): ConfigProblem[] {
  if (database === null || database.tls !== 'unverified' || isLoopback(database.host)) return [];
  const message = 'encrypts, but not for a server that is verified (sslmode=no-verify)';
  return [{ name: 'OUTBOX_URL', message }];
}
