import { accessSync, constants } from 'node:fs';
import type { Config, OutboxDatabase } from './config.ts';
import { startsWithTilde, tildeProblem } from './parse-basic.ts';
import { isLoopback } from './parse-outbox.ts';
import type { ConfigProblem } from './parsed.ts';

/** Files that OUTBOX_URL names and that cannot be read; at most one, since a variable has one problem. */
export function outboxFileProblems(database: OutboxDatabase | null): string[] {
  const files: readonly (readonly [name: string, file: string | null])[] = [
    ['sslrootcert', database?.rootCertificateFile ?? null],
    ['sslcert', database?.certificateFile ?? null],
    ['sslkey', database?.keyFile ?? null],
  ];
  const problems = files.flatMap(([name, file]) => {
    if (file !== null && startsWithTilde(file))
      return [`names ${JSON.stringify(file)} as ${name}, which ${tildeProblem}`];
    const why = file === null ? null : unreadable(file);
    return why === null ? [] : [`names ${JSON.stringify(file)} as ${name}, which cannot be read (${why})`];
  });
  return problems.slice(0, 1);
}

function unreadable(file: string): string | null {
  try {
    accessSync(file, constants.R_OK);
    return null;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  }
}

export function outboxWarnings(database: OutboxDatabase | null): ConfigProblem[] {
  if (database === null || isLoopback(database.host)) return [];
  const warn = (message: string): ConfigProblem[] => [{ name: 'OUTBOX_URL', message }];
  if (database.tls === 'unverified') return warn('encrypts, but not for a server that is verified (sslmode=no-verify)');
  return [];
}

/** For people: where the outbox is and how it signs in, without user and password. */
export function describeOutbox({ database, dataDir }: Config['outbox']): string {
  if (database === null) return `SQLite in ${dataDir}`;
  const { host, port, database: name, tls, entra, password } = database;
  const signIn = entra ? 'Microsoft Entra' : password === null ? 'no password' : 'password';
  return `PostgreSQL at ${host}:${port}/${name}, TLS ${tls}, signs in with ${signIn}`;
}
