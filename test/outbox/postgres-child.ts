/**
 * A replica in a process of its own: claims what there is, says the ids, and waits to be killed.
 * argv: port, password, schema, lease in milliseconds.
 */
import { writeSync } from 'node:fs';
import { systemClock } from '../../src/ground/clock.ts';
import { createLogger } from '../../src/ground/log.ts';
import { openPostgresEngine } from '../../src/outbox/postgres/engine.ts';

const [, , port = '', password = '', schema = '', leaseMs = ''] = process.argv;
const engine = await openPostgresEngine({
  database: {
    host: '127.0.0.1',
    port: Number(port),
    database: 'postgres',
    user: 'postgres',
    password: async () => password,
    ssl: false,
  },
  schema,
  leaseMs: Number(leaseMs),
  maxBytes: 2 ** 30,
  clock: systemClock,
  log: createLogger('silent', { write: () => undefined }),
});
const claimed = await engine.claim({
  kind: 'request',
  maxEvents: 1_000,
  maxBytes: Number.MAX_SAFE_INTEGER,
  except: [],
  only: null,
});
writeSync(1, `${JSON.stringify(claimed.map(({ eventId, token }) => ({ eventId, token })))}\n`);
