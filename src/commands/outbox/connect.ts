import { existsSync } from 'node:fs';
import { clouds, databaseScope } from '../../config/clouds.ts';
import { credentialNames } from '../../config/credential.ts';
import { readSignIn } from '../../config/load.ts';
import { readVariables } from '../../config/read.ts';
import type { Values } from '../../config/variables.ts';
import { systemClock } from '../../ground/clock.ts';
import { CodedError } from '../../ground/error.ts';
import { createLogger } from '../../ground/log.ts';
import { kinds } from '../../kinds/registry.ts';
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

/** What is opened is closed, in the reverse order, when the command has done what it does with it. */
interface Access {
  readonly context: CommandContext;
  readonly values: Pick<Values, (typeof names)[number]>;
  readonly closing: AsyncDisposableStack;
}

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
  return withAccess(context, async (access) => {
    const { values } = access;
    const isShared = values.OUTBOX_URL !== null;
    if (!isShared && isOutboxLocked(values.DATA_DIR)) {
      return use({ operator: await connectToServer(values), through: 'server' });
    }
    if (!isShared) requireDatabase(values.DATA_DIR);
    const { store } = await (isShared ? openPostgres(access) : openSqlite(access));
    const log = createLogger('error', context.stderr);
    const streams = Object.fromEntries(kinds.map(({ name, streamVariable }) => [name, values[streamVariable]]));
    const understanding = { kinds, streams, escaping: values.APONO_TEMPLATE_ESCAPING, log };
    const { readAgain } = createReceiver(store, understanding);
    const operator = createOperator({ outbox: { ...store, readAgain }, log, holds: () => [] });
    return use({ operator, through: isShared ? 'shared' : 'database' });
  });
}

/** Runs `use` with the variables of these commands. Rejects with a CommandError for what can be expected. */
export async function withAccess<T>(context: CommandContext, use: (access: Access) => T | Promise<T>): Promise<T> {
  const { values, problems } = readVariables(context.env, names);
  if (problems.length > 0) throw misconfigured(problems);
  try {
    await using closing = new AsyncDisposableStack();
    return await use({ context, values, closing });
  } catch (error) {
    if (!(error instanceof CodedError || error instanceof OutboxUnavailableError)) throw error;
    throw failed(`${error.code}: ${error.message}`);
  }
}

/** With a token of the service's credential if the database is to be signed in to with one. */
export async function openPostgres(access: Access): Promise<OpenedStore> {
  if (access.values.OUTBOX_URL?.entra !== true) return open(access);
  const { env, stderr } = access.context;
  const reading = readVariables(env, credentialNames);
  const signIn = readSignIn(env, reading, []);
  const { credential, proxy } = signIn;
  const problems = [...reading.problems, ...signIn.problems];
  if (problems.length > 0 || credential === null) throw misconfigured(problems);
  // Loads the Azure SDK, which all other outboxes do without.
  const { tokensFor } = await import('../tokens.ts');
  const scope = databaseScope(clouds[reading.values.AZURE_CLOUD]);
  const tokens = tokensFor({ credential, proxy, logLevel: 'silent' }, scope, stderr);
  access.closing.defer(() => tokens.close());
  return open(access, async () => (await tokens.getToken()).token);
}

/** With the lock held, so that no service runs. A database that is missing is made. */
export async function openSqlite(access: Access): Promise<OpenedStore> {
  const { context, values, closing } = access;
  const lock = lockFolder(values.DATA_DIR, createLogger('error', context.stderr));
  closing.defer(() => lock.release());
  return open({ ...access, values: { ...values, OUTBOX_URL: null } });
}

async function open(
  { context, values, closing }: Access,
  databaseToken = (): Promise<string> => Promise.reject(new Error('no token is needed')),
): Promise<OpenedStore> {
  const { DATA_DIR: dataDir, OUTBOX_MAX_BYTES: maxBytes, OUTBOX_URL: database } = values;
  const outbox = { dataDir, maxBytes, database };
  const log = createLogger('error', context.stderr);
  const opened = await openStore({ outbox, databaseToken, clock: systemClock, log, onEvent: () => undefined });
  closing.defer(() => opened.store.close());
  return opened;
}

async function connectToServer(values: Access['values']): Promise<OutboxOperator> {
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
