import { existsSync } from 'node:fs';
import { readVariables } from '../../config/read.ts';
import type { Values } from '../../config/variables.ts';
import { systemClock } from '../../ground/clock.ts';
import { createLogger } from '../../ground/log.ts';
import { kinds } from '../../kinds/registry.ts';
import { type OpenedStore, openStore } from '../../outbox/open-store.ts';
import type { OutboxOperator } from '../../outbox/operator.ts';
import { createOperator } from '../../outbox/operator-local.ts';
import { OutboxUnavailableError } from '../../outbox/port.ts';
import { createReceiver } from '../../outbox/receive.ts';
import { RecordIdError } from '../../outbox/record-id.ts';
import { databaseFile } from '../../outbox/sqlite/files.ts';
import { isOutboxLocked, storeId } from '../../outbox/sqlite/lock.ts';
import { lockFolder } from '../../outbox/sqlite/open.ts';
import { OutboxStartError } from '../../outbox/start-error.ts';
import { type CommandContext, exitCodes, reportProblems, type TextOutput } from '../context.ts';
import { localOrigin } from '../local-service.ts';
import { AdminApiError, createAdminClient } from './admin-client.ts';
import { signInTo } from './database-token.ts';

/** Only what these commands use: they work where the service's Azure variables are not set. */
const names = [
  'DATA_DIR',
  'OUTBOX_URL',
  'OUTBOX_MAX_BYTES',
  'ADMIN_HOST',
  'ADMIN_PORT',
  'ADMIN_TOKEN',
  'APONO_TEMPLATE_ESCAPING',
  ...kinds.map(({ streamVariable }) => streamVariable),
] as const;

type OutboxValues = Pick<Values, (typeof names)[number]>;

export interface Connected {
  readonly operator: OutboxOperator;
  /**
   * `server`: through the admin API of the service that has the outbox open. `database`: no service runs. `shared`: on a
   * PostgreSQL database, which services may use at the same time.
   */
  readonly through: 'server' | 'database' | 'shared';
}

/** There is nothing to open. Its message says what to do. */
class NoOutboxError extends Error {
  override readonly name = 'NoOutboxError';
  readonly code = 'outbox_missing';
}

/**
 * Runs `use` on the outbox: through the admin API while a service has it open, else on the database, with its lock held
 * until `use` is done; never on both. An outbox in PostgreSQL is always used directly. What goes wrong is told on stderr: exit code 2 for variables, else 1.
 */
export function withOperator(context: CommandContext, use: (connected: Connected) => Promise<number>): Promise<number> {
  return withValues(context, async (values) => {
    const log = errorsTo(context.stderr);
    const operatorOf = ({ store }: OpenedStore) => {
      const understanding = { kinds, streams: streamsOf(values), escaping: values.APONO_TEMPLATE_ESCAPING, log };
      const { readAgain } = createReceiver(store, understanding);
      return createOperator({ outbox: { ...store, readAgain }, log, holds: () => [] });
    };
    if (values.OUTBOX_URL !== null) {
      return withPostgres(context, values, (opened) => use({ operator: operatorOf(opened), through: 'shared' }));
    }
    if (isOutboxLocked(values.DATA_DIR)) {
      return use({ operator: await connectToServer(values), through: 'server' });
    }
    return withDatabase(context.stderr, values, (opened) => use({ operator: operatorOf(opened), through: 'database' }));
  });
}

/** For what only the SQLite database itself can do: no service may run. The database is made if there is none. */
export function withOwnDatabase(
  context: CommandContext,
  use: (opened: OpenedStore) => Promise<number>,
): Promise<number> {
  return withValues(context, async (values) => {
    if (values.OUTBOX_URL !== null) {
      context.stderr.write(
        'salvage: is for damaged files of SQLite, and OUTBOX_URL is set. Unset it to salvage into the outbox of DATA_DIR, ' +
          'from where `outbox migrate` takes it on.\n',
      );
      return exitCodes.usage;
    }
    return withDatabase(context.stderr, values, use, { create: true });
  });
}

/** For what reads the files of the SQLite outbox beside the service that may run on them. */
export function withDataDir(context: CommandContext, use: (dataDir: string) => Promise<number>): Promise<number> {
  return withValues(context, async ({ OUTBOX_URL: url, DATA_DIR: dataDir }) => {
    if (url !== null) {
      context.stderr.write('backup: the outbox is in PostgreSQL (OUTBOX_URL). Back it up with pg_dump\n');
      return exitCodes.usage;
    }
    requireDatabase(dataDir);
    return use(dataDir);
  });
}

/** Both outboxes, for what is moved from one to the other: PostgreSQL's, and SQLite's with its lock held. */
export function withBoth(
  context: CommandContext,
  { create }: { readonly create: boolean },
  use: (both: { readonly sqlite: OpenedStore; readonly postgres: OpenedStore }) => Promise<number>,
): Promise<number> {
  return withValues(context, async (values) => {
    if (values.OUTBOX_URL === null) {
      reportProblems(context.stderr, [{ name: 'OUTBOX_URL', message: 'is not set: it names the PostgreSQL database' }]);
      return exitCodes.usage;
    }
    return withPostgres(context, values, (postgres) =>
      withDatabase(context.stderr, values, (sqlite) => use({ sqlite, postgres }), { create }),
    );
  });
}

/** With a token of the credential if the database is to be signed in to with one. */
async function withPostgres(
  { env, stderr }: CommandContext,
  values: OutboxValues,
  use: (opened: OpenedStore) => Promise<number>,
): Promise<number> {
  const signIn = values.OUTBOX_URL?.entra === true ? await signInTo(env, stderr) : null;
  if (signIn === 'misconfigured') return exitCodes.usage;
  const noToken = () => Promise.reject(new Error('no token is needed'));
  try {
    return await withStore(stderr, values, values.OUTBOX_URL, signIn?.token ?? noToken, use);
  } finally {
    signIn?.close();
  }
}

async function withStore(
  stderr: TextOutput,
  { DATA_DIR: dataDir, OUTBOX_MAX_BYTES: maxBytes }: OutboxValues,
  database: OutboxValues['OUTBOX_URL'],
  databaseToken: () => Promise<string>,
  use: (opened: OpenedStore) => Promise<number>,
): Promise<number> {
  const opened = await openStore({
    outbox: { dataDir, maxBytes, database },
    databaseToken,
    clock: systemClock,
    log: errorsTo(stderr),
    onEvent: () => undefined,
  });
  try {
    return await use(opened);
  } finally {
    await opened.store.close();
  }
}

async function withValues(context: CommandContext, use: (values: OutboxValues) => Promise<number>): Promise<number> {
  const { values, problems } = readVariables(context.env, names);
  if (problems.length > 0) {
    reportProblems(context.stderr, problems);
    return exitCodes.usage;
  }
  try {
    return await use(values);
  } catch (error) {
    if (!isExpected(error)) throw error;
    context.stderr.write(`${error.code}: ${error.message}\n`);
    return exitCodes.failed;
  }
}

function isExpected(error: unknown): error is Error & { readonly code: string } {
  const expected = [AdminApiError, NoOutboxError, OutboxStartError, OutboxUnavailableError, RecordIdError];
  return expected.some((known) => error instanceof known);
}

async function connectToServer(values: OutboxValues): Promise<OutboxOperator> {
  const { ADMIN_HOST: host, ADMIN_PORT: port, ADMIN_TOKEN: token, DATA_DIR: dataDir } = values;
  if (port === 0) {
    const message =
      'A process has the outbox open, and ADMIN_PORT is 0: set ADMIN_PORT to the admin_port that the "ready" line of ' +
      'the service names.';
    throw new AdminApiError('admin_unreachable', message);
  }
  const origin = localOrigin(host, port);
  const client = createAdminClient({ origin, token });
  const served = await client.storeId();
  if (served !== storeId(dataDir)) {
    const message =
      `The service at ${origin} has another outbox open than that of DATA_DIR (${dataDir}). Give this command the ` +
      'ADMIN_PORT of the service that you mean, or its DATA_DIR.';
    throw new AdminApiError('admin_other_outbox', message);
  }
  return client;
}

async function withDatabase(
  stderr: TextOutput,
  values: OutboxValues,
  use: (opened: OpenedStore) => Promise<number>,
  { create } = { create: false },
): Promise<number> {
  const { DATA_DIR: dataDir } = values;
  if (!create) requireDatabase(dataDir);
  const lock = lockForCommand(dataDir, stderr);
  try {
    const noToken = () => Promise.reject(new Error('no token is needed'));
    return await withStore(stderr, values, null, noToken, use);
  } finally {
    lock.release();
  }
}

function requireDatabase(dataDir: string): void {
  if (existsSync(databaseFile(dataDir))) return;
  throw new NoOutboxError(`There is no outbox in ${dataDir}. Set DATA_DIR to the folder that the service uses.`);
}

/** The advice of a service that does not start, a DATA_DIR of its own, would be the wrong one here. */
function lockForCommand(dataDir: string, stderr: TextOutput) {
  try {
    return lockFolder(dataDir, errorsTo(stderr));
  } catch (error) {
    if (!(error instanceof OutboxStartError) || error.code !== 'outbox_locked') throw error;
    const message =
      'A process has the outbox of DATA_DIR open, and this command needs it to itself. Stop the service, or wait for the ' +
      'other outbox command; then run this one again.';
    throw new OutboxStartError('outbox_locked', message, { cause: error });
  }
}

function errorsTo(stderr: TextOutput) {
  return createLogger('error', { write: (line) => void stderr.write(line) });
}

function streamsOf(values: OutboxValues): Readonly<Record<string, string | null>> {
  return Object.fromEntries(kinds.map(({ name, streamVariable }) => [name, values[streamVariable]]));
}
