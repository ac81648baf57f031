/**
 * A receiver with the same promise as the service's, in the fewest lines: Express, and one INSERT a request into
 * PostgreSQL, committed before the answer. Nothing is authenticated or checked, and nothing reaches Azure.
 */
import { createHash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import express from 'express';
import { Pool } from 'pg';

const [connectionString = ''] = process.argv.slice(2);
const pool = new Pool({ connectionString });
await pool.query('CREATE TABLE events (id bytea PRIMARY KEY, body text NOT NULL)');

const app = express();
app.use(express.text({ limit: '6mb', type: 'application/json' }));
app.post('/', async (request, response) => {
  const body = request.body as string;
  JSON.parse(body);
  const id = createHash('sha256').update(body).digest();
  await pool.query('INSERT INTO events (id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING', [id, body]);
  response.status(200).json({ status: 'accepted' });
});
const server = app.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.on('disconnect', () => process.exit());
