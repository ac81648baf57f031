/**
 * A replica in a process of its own: claims what there is, says the ids, and waits to be killed.
 * argv: port, password, schema, lease in milliseconds.
 */
import { writeSync } from 'node:fs';
import { systemClock } from '../../src/ground/clock.ts';
import { createLogger } from '../../src/ground/log.ts';
import { openPostgresOutbox } from '../../src/outbox/postgres/outbox.ts';

const [, , port = '', password = '', schema = '', leaseMs = ''] = process.argv;
const outbox = await openPostgresOutbox({
  database: {
    host: '127.0.0.1',
    port: Number(port),
    database: 'postgres',
    user: 'postgres',
    password: async () => password,
    tls: null,
  },
  schema,
  leaseMs: Number(leaseMs),
  maxBytes: 2 ** 30,
  clock: systemClock,
  log: createLogger('silent', { write: () => undefined }),
});
const claimed = await outbox.claim({ kind: 'request', maxEvents: 1_000, maxMappedBytes: Number.MAX_SAFE_INTEGER });
writeSync(1, `${JSON.stringify(claimed.map(({ eventId, token }) => ({ eventId, token })))}\n`);
