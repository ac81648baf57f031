import { existsSync } from 'node:fs';
import { databaseScope } from '../../config/clouds.ts';
import { credentialNames } from '../../config/credential.ts';
import { readSignIn } from '../../config/load.ts';
import { readVariables } from '../../config/read.ts';
import type { Values } from '../../config/variables.ts';
import { systemClock } from '../../ground/clock.ts';
import { createLogger } from '../../ground/log.ts';
import { kinds } from '../../kinds/registry.ts';
import { CodedError } from '../../outbox/engine.ts';
import { type OpenedStore, openStore } from '../../outbox/open-store.ts';
import type { OutboxOperator } from '../../outbox/operator.ts';
import { createOperator } from '../../outbox/operator-local.ts';
import { OutboxUnavailableError } from '../../outbox/port.ts';
import { createReceiver } from '../../outbox/receive.ts';
import { databaseFile } from '../../outbox/sqlite/files.ts';
import { isOutboxLocked, storeId } from '../../outbox/sqlite/lock.ts';
import { lockFolder } from '../../outbox/sqlite/open.ts';
import { type CommandContext, failed, misconfigured } from '../context.ts';
import { createAdminClient } from './admin-client.ts';

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
  /** `server`: a service's admin API. `database`: no service runs. `shared`: PostgreSQL, which services may use. */
  readonly through: 'server' | 'database' | 'shared';
}

/**
 * Runs `use` on the outbox: through the admin API while a service has it open, else on the database, with its lock held
 * until `use` is done; never on both. An outbox in PostgreSQL is always used directly.
 */
export function withOperator<T>(context: CommandContext, use: (connected: Connected) => Promise<T>): Promise<T> {
  return withValues(context, async (values) => {
    const log = createLogger('error', context.stderr);
    const operatorOn = ({ store }: OpenedStore) => {
      const streams = Object.fromEntries(kinds.map(({ name, streamVariable }) => [name, values[streamVariable]]));
      const understanding = { kinds, streams, escaping: values.APONO_TEMPLATE_ESCAPING, log };
      const { readAgain } = createReceiver(store, understanding);
      return createOperator({ outbox: { ...store, readAgain }, log, holds: () => [] });
    };
    if (values.OUTBOX_URL !== null) {
      return withPostgres(context, values, (opened) => use({ operator: operatorOn(opened), through: 'shared' }));
    }
    if (isOutboxLocked(values.DATA_DIR)) return use({ operator: await connectToServer(values), through: 'server' });
    requireDatabase(values.DATA_DIR);
    return withSqlite(context, values, (opened) => use({ operator: operatorOn(opened), through: 'database' }));
  });
}

/** Runs `use` with the variables of these commands. Rejects with a CommandError for what can be expected. */
export async function withValues<T>(
  { env }: CommandContext,
  use: (values: OutboxValues) => T | Promise<T>,
): Promise<T> {
  const { values, problems } = readVariables(env, names);
  if (problems.length > 0) throw misconfigured(problems);
  try {
    return await use(values);
  } catch (error) {
    if (!(error instanceof CodedError || error instanceof OutboxUnavailableError)) throw error;
    throw failed(`${error.code}: ${error.message}`);
  }
}

/** With a token of the service's credential if the database is to be signed in to with one. */
export async function withPostgres<T>(
  context: CommandContext,
  values: OutboxValues,
  use: (opened: OpenedStore) => Promise<T>,
): Promise<T> {
  if (values.OUTBOX_URL?.entra !== true) return withStore(context, values, use);
  const { env, stderr } = context;
  const reading = readVariables(env, ['AZURE_CLOUD', ...credentialNames]);
  const signIn = readSignIn(env, reading, []);
  const { cloud, credential, proxy } = signIn;
  const problems = [...reading.problems, ...signIn.problems];
  if (problems.length > 0 || credential === null) throw misconfigured(problems);
  // Loads the Azure SDK, which all other outboxes do without.
  const { tokensFor } = await import('../tokens.ts');
  const tokens = tokensFor({ credential, proxy, logLevel: 'silent' }, databaseScope(cloud), stderr);
  try {
    return await withStore(context, values, use, async () => (await tokens.getToken()).token);
  } finally {
    tokens.close();
  }
}

/** With the lock held, so that no service runs. A database that is missing is made. */
export async function withSqlite<T>(
  context: CommandContext,
  values: OutboxValues,
  use: (opened: OpenedStore) => Promise<T>,
): Promise<T> {
  const lock = lockFolder(values.DATA_DIR, createLogger('error', context.stderr));
  try {
    return await withStore(context, { ...values, OUTBOX_URL: null }, use);
  } finally {
    lock.release();
  }
}

async function withStore<T>(
  { stderr }: CommandContext,
  { DATA_DIR: dataDir, OUTBOX_MAX_BYTES: maxBytes, OUTBOX_URL: database }: OutboxValues,
  use: (opened: OpenedStore) => Promise<T>,
  databaseToken = (): Promise<string> => Promise.reject(new Error('no token is needed')),
): Promise<T> {
  const outbox = { dataDir, maxBytes, database };
  const log = createLogger('error', stderr);
  const opened = await openStore({ outbox, databaseToken, clock: systemClock, log, onEvent: () => undefined });
  try {
    return await use(opened);
  } finally {
    await opened.store.close();
  }
}

async function connectToServer(values: OutboxValues): Promise<OutboxOperator> {
  const { DATA_DIR: dataDir } = values;
  const client = createAdminClient(values, true);
  if ((await client.storeId()) === storeId(dataDir)) return client;
  throw failed(
    `admin_other_outbox: The service at ${client.origin} has another outbox open than that of DATA_DIR (${dataDir}). Give this ` +
      'command the ADMIN_PORT of the service that you mean, or its DATA_DIR.',
  );
}

export function requireDatabase(dataDir: string): void {
  if (existsSync(databaseFile(dataDir))) return;
  const message = `There is no outbox in ${dataDir}. Set DATA_DIR to the folder that the service uses.`;
  throw failed(`outbox_missing: ${message}`);
}
