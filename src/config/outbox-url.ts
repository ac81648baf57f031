import { clouds } from './clouds.ts';
import { isLoopbackHost } from './parse.ts';
import { holdsReference } from './secret-text.ts';
import { accessProblem, bad, type Parse, tildeProblem } from './variable.ts';

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
export type OutboxDatabase = ReturnType<typeof readDatabase>;

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
  let database: OutboxDatabase;
  try {
    database = readDatabase(url);
  } catch {
    return bad(`has a % without a code, ${encode}`);
  }
  const problem = placeProblem(database, url) ?? securityProblem(database, url.searchParams);
  return problem === null ? database : bad(problem);
};

/** @throws URIError for a % without a code */
function readDatabase({ hostname, port, pathname, username, password: encoded, searchParams: params }: URL) {
  const host = params.get('host') ?? decodeURIComponent(hostname.replace(/^\[(.+)\]$/, '$1'));
  const password = decodeURIComponent(encoded) || null;
  const mode = params.get('sslmode');
  /** By the names of their parameters. */
  const files = {
    sslrootcert: params.get('sslrootcert'),
    sslcert: params.get('sslcert'),
    sslkey: params.get('sslkey'),
  };
  const isAzure = Object.values(clouds).some((cloud) => host.toLowerCase().endsWith(cloud.databaseHostSuffix));
  const entra = params.get('auth') === 'entra' || (isAzure && password === null && files.sslcert === null);
  const verifies = mode === null ? entra || files.sslrootcert !== null : verifyingModes.includes(mode);
  const encrypted = verifies || files.sslcert !== null ? 'verified' : mode === 'no-verify' ? 'unverified' : 'off';
  const tls: typeof encrypted = mode === 'disable' ? 'off' : encrypted;
  const database = decodeURIComponent(pathname.slice(1));
  const user = decodeURIComponent(username);
  return { host, port: port === '' ? 5432 : Number(port), database, user, password, entra, tls, files };
}

function placeProblem({ password, user, database }: OutboxDatabase, { hostname, searchParams }: URL): string | null {
  if (password !== null && holdsReference(password)) {
    return `has a password that is a reference nobody resolved or a placeholder, ${form}`;
  }
  if (user === '') return `names no user, ${form}`;
  if (database === '' || database.includes('/')) return `names no database behind the host, ${form}`;
  const socket = searchParams.get('host');
  const hasHost = hostname !== '' && hostname !== noHost;
  if (socket === null ? hasHost : !hasHost && socket.startsWith('/')) return null;
  return `names no host, ${form}; or ?host=/<folder> of a Unix socket`;
}

function securityProblem({ host, password, entra, files }: OutboxDatabase, params: URLSearchParams): string | null {
  const auth = params.get('auth');
  const mode = params.get('sslmode');
  if (auth !== null && auth !== 'entra') return 'has another auth than entra, the only one to be named';
  if (entra && password !== null) return 'has a password and auth=entra, which signs in with a token; keep one';
  if (mode !== null && !sslModes.includes(mode))
    return `has an unknown sslmode; it must be one of ${sslModes.join(', ')}`;
  if ((files.sslcert === null) !== (files.sslkey === null)) return 'has one of sslcert and sslkey without the other';
  // Only for a server on this machine may sslmode be left out or something secret be sent in the clear.
  if (isOnThisMachine(host)) return null;
  if (entra && mode !== null && !verifyingModes.includes(mode)) {
    return 'would send a token of Entra to a server that is not verified; set sslmode=verify-full';
  }
  if (mode === null) {
    return 'names a server on another machine and has no sslmode; add ?sslmode=verify-full, and sslrootcert=<file> for a CA of your own';
  }
  if (password === null || (mode !== 'disable' && mode !== 'prefer')) return null;
  return `would let the password travel unencrypted to another machine (sslmode=${mode}); turn \`ssl\` on at the server and set sslmode=verify-full`;
}

/** Also the folder of a Unix socket: what is sent does not leave the machine. */
export function isOnThisMachine(host: string): boolean {
  return host.startsWith('/') || isLoopbackHost(host);
}

/** The first file that OUTBOX_URL names and that cannot be read; null: there is none. */
export function outboxFileProblem(database: OutboxDatabase | null): string | null {
  for (const [name, file] of Object.entries(database?.files ?? {})) {
    const problem = file === null ? null : (tildeProblem(file) ?? accessProblem(file));
    if (problem !== null) return `names ${JSON.stringify(file)} as ${name}, which ${problem}`;
  }
  return null;
}
