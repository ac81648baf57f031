import type { Session } from './database.ts';
import { DatabaseStartError } from './errors.ts';

const OLDEST_VERSION = 130_000;

/** Looks at what the promises rest on. Throws a DatabaseStartError. */
export async function inspect(session: Session, place: string): Promise<void> {
  const [found] = await session.query<{ version: number; fsync: string; synced: string }>(
    `SELECT current_setting('server_version_num')::integer AS version, current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synced`,
  );
  if (found === undefined) throw new Error('the server says nothing of its settings');
  if (found.version < OLDEST_VERSION) {
    const problem = `The server at ${place} is older than PostgreSQL 13 (${found.version})`;
    throw new DatabaseStartError('outbox_unsupported', problem, 'Use a later one.');
  }
  if (found.fsync !== 'on' || !['on', 'remote_apply'].includes(found.synced)) {
    const settings = `fsync = ${found.fsync}, synchronous_commit = ${found.synced}`;
    throw new DatabaseStartError(
      'outbox_unsupported',
      `The server at ${place} does not keep what it commits (${settings})`,
      'Change that setting of the server, then start again.',
    );
  }
}
