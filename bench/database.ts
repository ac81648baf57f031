import { Client } from 'pg';
import { startPostgres } from '../test/support/postgres-server.ts';
import { familyTimeMs, parentOf } from './processor-time.ts';
import { median } from './statistics.ts';

/** A PostgreSQL server for measuring, with a database of its own for each run. */
export interface Database {
  /** Its URL. `template`: a database to copy, to which nobody is connected. */
  create(name: string, template?: string): Promise<string>;
  connect(name: string): Promise<Client>;
  /** Of all its processes since it began, in milliseconds; null where there is no /proc. */
  processorMs(): Promise<number | null>;
  stop(): Promise<void>;
}

/** What PostgreSQL comes with; the tests' server has less memory and vacuums more often. */
const DEFAULT_SETTINGS = `
shared_buffers = 128MB
autovacuum_naptime = 1min
`;

export async function startDatabase(): Promise<Database> {
  const server = await startPostgres({ settings: DEFAULT_SETTINGS });
  async function connect(name: string): Promise<Client> {
    const client = new Client({ connectionString: server.url(name) });
    // A scenario that fails may leave it open when the server is stopped, which must not hide why it failed.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }
  const admin = await connect('postgres');
  const { rows } = await admin.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  // The server's other processes are children of the one that is the parent of this connection's.
  const serverPid = await parentOf(rows[0]?.pid ?? 0);
  return {
    async create(name, template = 'template1') {
      await admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
      return server.url(name);
    },
    connect,
    processorMs: async () => (serverPid === null ? null : familyTimeMs(serverPid)),
    async stop() {
      await admin.end();
      await server.cleanup();
    },
  };
}

/** How long a row of one column takes until it is synced, when nothing else is done: the least that a commit costs. */
export async function bareCommitMs(client: Client, commits: number): Promise<number> {
  await client.query('CREATE TABLE bare (n integer)');
  const takenMs: number[] = [];
  for (let n = 0; n < commits; n++) {
    const begunAt = performance.now();
    await client.query('INSERT INTO bare VALUES ($1)', [n]);
    takenMs.push(performance.now() - begunAt);
  }
  await client.query('DROP TABLE bare');
  return median(takenMs);
}
