import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { outboxUrl } from '../../src/config/outbox-url.ts';
import { Refusal } from '../../src/config/variable.ts';
import { makeCertificate } from '../../src/emulator/certificate.ts';
import { OutboxStartError } from '../../src/outbox/engine.ts';
import { settingsOf } from '../../src/outbox/postgres/database.ts';
import { startPostgres } from '../support/postgres-server.ts';
import { openOutbox, query } from './postgres-fixture.ts';

test('TLS is what OUTBOX_URL says: verified by default of every verifying mode, against the CA and the host', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'outbox-tls-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [own, foreign] = await Promise.all([makeCertificate(['localhost']), makeCertificate(['localhost'])]);
  const ca = path.join(folder, 'ca.pem');
  const otherCa = path.join(folder, 'other.pem');
  writeFileSync(ca, own.caPem);
  writeFileSync(otherCa, foreign.caPem);
  const server = await startPostgres({
    settings: 'ssl = on',
    files: { 'server.crt': own.certPem, 'server.key': own.keyPem },
  });
  t.after(() => server.cleanup());

  async function open(host: string, params: string): Promise<string> {
    const database = outboxUrl(`postgres://postgres:${server.password}@${host}:${server.port}/postgres?${params}`);
    assert(!(database instanceof Refusal), String(database));
    const settings = settingsOf(database, () => assert.fail('no token is asked for'));
    try {
      const outbox = await openOutbox(server, { database: settings });
      const sql = `SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'apono-sentinel'`;
      const [row] = await query(server, sql);
      await outbox.close();
      return row?.['ssl'] === true ? 'encrypted' : 'plain';
    } catch (error) {
      assert(error instanceof OutboxStartError, String(error));
      return error.message;
    }
  }

  for (const mode of ['prefer', 'require', 'verify-ca', 'verify-full']) {
    assert.equal(await open('localhost', `sslmode=${mode}&sslrootcert=${ca}`), 'encrypted', mode);
    assert.match(await open('localhost', `sslmode=${mode}&sslrootcert=${otherCa}`), /certificate/, mode);
  }
  assert.equal(await open('localhost', `sslrootcert=${ca}`), 'encrypted', 'who names a CA means it');
  assert.match(await open('127.0.0.1', `sslmode=verify-ca&sslrootcert=${ca}`), /does not match certificate/);
  assert.match(await open('localhost', 'sslmode=verify-full'), /certificate/, 'a CA that nobody knows');
  assert.equal(await open('127.0.0.1', 'sslmode=no-verify'), 'encrypted');
  assert.equal(await open('127.0.0.1', 'sslmode=disable'), 'plain');
});
