import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { type PostgresServer, startPostgres } from '../support/postgres-server.ts';
import { outboxContract } from './contract.ts';
import { openPostgresFixture } from './postgres-fixture.ts';

let server: PostgresServer | null = null;

before(async () => {
  server = await startPostgres();
});
after(() => server?.cleanup());

outboxContract('PostgreSQL', async (options) => {
  assert(server !== null);
  return openPostgresFixture(server, options);
});
