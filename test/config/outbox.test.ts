import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { describeConfig } from '../../src/config/config.ts';
import { configOf, load, problemsOf, warningsOf } from './support.ts';

const databaseOf = (url: string) => configOf({ OUTBOX_URL: url }).outbox.database;
const problemOf = (url: string): string => problemsOf({ OUTBOX_URL: url })['OUTBOX_URL'] ?? '';

describe('OUTBOX_URL', () => {
  it('names a PostgreSQL database', () => {
    assert.deepEqual(databaseOf('postgres://me:hunter2@db.internal:6432/outbox?sslmode=verify-full'), {
      host: 'db.internal',
      port: 6432,
      database: 'outbox',
      user: 'me',
      password: 'hunter2',
      entra: false,
      tls: 'verified',
      files: { sslrootcert: null, sslcert: null, sslkey: null },
    });
    const other = databaseOf('postgresql://a%40b:p%23%2Fs%3F%40%3A@[::1]/o%20b');
    assert.deepEqual(
      [other?.host, other?.port, other?.user, other?.password, other?.database],
      ['::1', 5432, 'a@b', 'p#/s?@:', 'o b'],
    );
    assert.equal(databaseOf('postgres://me@/outbox?host=/run/postgresql')?.host, '/run/postgresql');
    assert.equal(configOf().outbox.database, null);
  });

  it('encrypts as pg does: what verifies anything verifies all, and nothing falls back', () => {
    const tlsOf = (mode: string) => databaseOf(`postgres://me@db/o?sslmode=${mode}`)?.tls;
    for (const mode of ['prefer', 'require', 'verify-ca', 'verify-full']) assert.equal(tlsOf(mode), 'verified', mode);
    assert.deepEqual([tlsOf('disable'), tlsOf('no-verify')], ['off', 'unverified']);
    assert.equal(databaseOf('postgres://me:pw@127.0.0.1/o')?.tls, 'off');
  });

  it('signs in with a token at Azure where no password is given, encrypted and verified', () => {
    for (const domain of ['azure.com', 'usgovcloudapi.net', 'chinacloudapi.cn']) {
      const azure = databaseOf(`postgres://app@mine.postgres.database.${domain}/outbox?sslmode=verify-full`);
      assert.deepEqual([azure?.entra, azure?.tls, azure?.password], [true, 'verified', null]);
    }
    assert.equal(databaseOf('postgres://app:pw@mine.postgres.database.azure.com/outbox?sslmode=require')?.entra, false);
    assert.equal(databaseOf('postgres://app@db.example.com/o?auth=entra&sslmode=verify-full')?.entra, true);
    assert.equal(databaseOf('postgres://app@db.example.com/o?sslmode=verify-full')?.entra, false);
    assert.match(problemOf('postgres://app@db.example.com/o?auth=entra&sslmode=disable'), /not verified/);
    assert.match(problemOf('postgres://app@x.postgres.database.azure.com/o?sslmode=no-verify'), /not verified/);
    assert.match(problemOf('postgres://app:hunter2@db/o?auth=entra'), /keep one/);
  });

  it('is refused for anything else, without a word of the password', () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['mysql://me:hunter2@db/o', /no URL of a PostgreSQL database/],
      ['postgres://me:$(PGPASSWORD)@db/o', /a reference nobody resolved/],
      ['postgres://me:%3Cpassword%3E@db/o', /a reference nobody resolved/],
      ['me:hunter2@db/o', /no URL of a PostgreSQL database/],
      ['postgres://me:hun#ter2@db/o', /%-codes|no URL/],
      ['postgres://me:hunter2@db', /names no database/],
      ['postgres://me:hunter2@db/', /names no database/],
      ['postgres://db/o', /names no user/],
      ['postgres://me:hunter2@/o', /names no host|no URL/],
      ['postgres://me:hunter2@db/o?sslmode=allow', /sslmode; it must be one of/],
      ['postgres://me:hunter2@db/o?options=-cfsync=off', /parameter/],
      ['postgres://me:hunter2@db/o?sslmode=disable&sslmode=verify-full', /twice/],
      ['postgres://me:hunter2@db/o?auth=gss', /auth/],
      ['postgres://me:%E0%A4%A@db/o', /%/],
      ['postgres://me:hunter2@db/o?sslcert=/tmp/x', /without the other/],
    ];
    for (const [url, message] of cases) {
      assert.match(problemOf(url), message, url);
      assert.ok(!JSON.stringify(load({ OUTBOX_URL: url })).includes('hunter2'), url);
    }
  });

  it('names files that must be readable', (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'apono-config-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const ca = path.join(folder, 'ca.pem');
    assert.match(
      problemOf(`postgres://me:pw@db/o?sslmode=verify-full&sslrootcert=${ca}`),
      /sslrootcert, which cannot be read \(ENOENT\)/,
    );
    writeFileSync(ca, 'x');
    assert.deepEqual(
      [
        databaseOf(`postgres://me:pw@localhost/o?sslrootcert=${ca}`)?.files.sslrootcert,
        databaseOf(`postgres://me:pw@localhost/o?sslrootcert=${ca}`)?.tls,
      ],
      [ca, 'verified'],
    );
  });

  it('must say sslmode for a server on another machine, whatever else it says', () => {
    const urls = [
      'postgres://me:hunter2@db/o',
      'postgres://me@db.internal/o',
      'postgres://me:hunter2@10.0.0.5/o?sslrootcert=/etc/hostname',
      'postgres://me:hunter2@[2001:db8::1]/o',
      'postgres://app@mine.postgres.database.azure.com/o',
      'postgres://app@db/o?auth=entra',
      'postgres://me:hunter2@localhost.evil.net/o',
      'postgres://me:hunter2@127.evil.net/o',
    ];
    for (const url of urls) assert.match(problemOf(url), /no sslmode; add \?sslmode=verify-full/, url);
    const here = ['localhost', 'LOCALHOST', '127.0.0.1', '127.9.9.9', '[::1]'].map(
      (host) => `postgres://me:pw@${host}/o`,
    );
    for (const url of [...here, 'postgres://me:pw@/o?host=/run/postgresql'])
      assert.notEqual(databaseOf(url), null, url);
  });

  it('lets no password travel in the clear to another machine', () => {
    for (const mode of ['disable', 'prefer']) {
      const message = problemOf(`postgres://me:hunter2@db/o?sslmode=${mode}`);
      assert.match(message, new RegExp(`unencrypted to another machine \\(sslmode=${mode}\\).*verify-full`));
      assert.ok(!message.includes('hunter2'));
      assert.notEqual(databaseOf(`postgres://me:pw@127.0.0.1/o?sslmode=${mode}`), null);
      assert.notEqual(databaseOf(`postgres://me:pw@/o?host=/run/postgresql&sslmode=${mode}`), null);
    }
    assert.equal(databaseOf('postgres://me@db/o?sslmode=disable')?.tls, 'off');
  });

  it('warns of a server that is not verified', () => {
    const warning = (url: string) => warningsOf({ OUTBOX_URL: url })['OUTBOX_URL'];
    assert.match(warning('postgres://me:pw@db/o?sslmode=no-verify') ?? '', /no-verify/);
    for (const url of ['postgres://me:pw@localhost/o', 'postgres://me:pw@db/o?sslmode=require']) {
      assert.equal(warning(url), undefined, url);
    }
  });

  it('shows host and database in the print, and no user or password', () => {
    const { config, settings } = load({
      OUTBOX_URL: 'postgres://somebody:hunter2@db.internal/outbox?sslmode=verify-full',
    });
    assert.ok(config !== null);
    const described = describeConfig(config, settings);
    assert.ok(!/hunter2|somebody/.test(JSON.stringify(described)));
    assert.equal(
      described.find(({ name }) => name === 'outbox')?.value,
      'PostgreSQL at db.internal:5432/outbox, TLS verified, signs in with password',
    );
  });
});
