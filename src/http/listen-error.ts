import net from 'node:net';
import process from 'node:process';

export interface Place {
  /** `webhook` has the variables HOST and PORT, `admin` ADMIN_HOST and ADMIN_PORT. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** The service cannot listen. `code` is Node's; the message names the variable and says what to set it to. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: string;
  /** HOST, PORT, ADMIN_HOST or ADMIN_PORT. */
  readonly variable: string;
  /** Only another value helps; false if another program has the port at the moment. */
  readonly isConfiguration: boolean;

  constructor(cause: NodeJS.ErrnoException, { name, host, port }: Place) {
    const code = cause.code ?? 'unknown';
    const variable = (name === 'admin' ? 'ADMIN_' : '') + (isAboutPort(code) ? 'PORT' : 'HOST');
    super(`${variable} ${problemOf(code, host, port)} (${code})`, { cause });
    this.code = code;
    this.variable = variable;
    this.isConfiguration = code === 'EACCES' || addressCodes.has(code) || isUnresolved(code);
  }
}

/** The address is not one of this machine, or of a family that it does not have. */
const addressCodes = new Set(['EADDRNOTAVAIL', 'EINVAL', 'EAFNOSUPPORT', 'ENOTSUP']);
const isUnresolved = (code: string): boolean => code === 'ENOTFOUND' || code.startsWith('EAI_');
const isAboutPort = (code: string): boolean => code === 'EADDRINUSE' || code === 'EACCES';

function problemOf(code: string, host: string, port: number): string {
  if (code === 'EADDRINUSE') return `${port} on ${host} is in use by another program; stop it, or set another port`;
  if (code === 'EACCES') {
    return `${port} on ${host} may not be used by uid ${process.getuid?.()}; set a port of 1024 or more`;
  }
  const advice = 'set an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them';
  if (isUnresolved(code)) return `"${host}" does not resolve to an address; ${advice}`;
  if (addressCodes.has(code)) return `"${host}" is no address of this machine; ${advice}`;
  return `"${host}" cannot be listened on`;
}

/** Why the service cannot listen on a host; null if it can. It tries any free port, so a running service does not matter. */
export function tryHost(place: Omit<Place, 'port'>): Promise<ListenError | null> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error) => resolve(new ListenError(error, { ...place, port: 0 })));
    server.listen({ host: place.host, port: 0 }, () => server.close(() => resolve(null)));
  });
}
