import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { generate } from 'selfsigned';
import { readCertificate } from '../../src/config/certificate.ts';
import { describeConfig } from '../../src/config/config.ts';
import { createCredentialEnd } from '../../src/config/credential.ts';
import { checkConfig } from '../../src/config/load.ts';
import { configOf, load, minimal, problemsOf, warningsOf } from './support.ts';

const dayMs = 86_400_000;
const password = 'hunter2-of-the-key';
const application = { AZURE_TENANT_ID: 'contoso.com', AZURE_CLIENT_ID: '0b1f6471-1bf0-4dda-aec3-111122223333' };

interface Pair {
  readonly cert: string;
  readonly key: string;
}

async function makePair(options: Parameters<typeof generate>[1] = {}, name = 'apono-sentinel'): Promise<Pair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], { keySize: 2048, ...options });
  return { cert: cert.trim(), key: key.trim() };
}

const inDays = (days: number) => new Date(Date.now() + days * dayMs);

describe('AZURE_CLIENT_CERTIFICATE_PATH', () => {
  let folder = '';
  let count = 0;
  let plain: Pair;
  let issuer: Pair;
  let issued: Pair;
  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'apono-certificate-'));
    plain = await makePair({ notAfterDate: inDays(365) });
    issuer = await makePair({ notAfterDate: inDays(365), extensions: [{ name: 'basicConstraints', cA: true }] }, 'CA');
    issued = await makePair({ notAfterDate: inDays(200), ca: { key: issuer.key, cert: issuer.cert } });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function file(content: string | Buffer): string {
    count += 1;
    const name = path.join(folder, `${count}.pem`);
    writeFileSync(name, content);
    return name;
  }
  const variablesOf = (content: string | Buffer, more: Readonly<Record<string, string>> = {}) => ({
    ...application,
    AZURE_CLIENT_CERTIFICATE_PATH: file(content),
    ...more,
  });
  const problemOf = (content: string | Buffer): string =>
    problemsOf(variablesOf(content))['AZURE_CLIENT_CERTIFICATE_PATH'] ?? '';
  const openssl = (...args: readonly string[]) =>
    execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });

  it('takes certificate and key in any order, with other text, CRLF and a byte order mark', () => {
    const both = `${plain.cert}\n${plain.key}\n`;
    const texts = [
      both,
      `${plain.key}\n${plain.cert}\n`,
      `Bag Attributes\n    friendlyName: x\n${both}`,
      both.replaceAll('\n', '\r\n'),
      `\uFEFF${both}`,
    ];
    for (const text of texts) {
      assert.deepEqual(problemsOf(variablesOf(text)), {});
      assert.deepEqual(warningsOf(variablesOf(text)), {});
    }
  });

  it('names what is missing or does not fit, by its own name', async () => {
    const ec = await makePair({ keyType: 'ec', curve: 'P-256' });
    const other = await makePair();
    const keyOnly = `names ".*", which holds no certificate, and needs both`;
    const cases: readonly (readonly [string, string | Buffer, RegExp])[] = [
      ['nothing', '', /holds nothing in PEM/],
      ['text', 'hello', /holds nothing in PEM/],
      ['no key', plain.cert, /holds no private key; append it/],
      ['no certificate', plain.key, new RegExp(keyOnly)],
      ['EC key', `${ec.cert}\n${ec.key}`, /key of type EC.*RSA key of 2048 bits/],
      ['key of another certificate', `${plain.cert}\n${other.key}`, /private key of another certificate/],
      ['key of none', `${issued.cert}\n${issuer.cert}\n${other.key}`, /none of its 2 certificates/],
      ['cut certificate', `${plain.cert.replace(/\n[^\n]+\n-----END/, '\n-----END')}\n${plain.key}`, /cannot be read/],
      ['cut key', `${plain.cert}\n${plain.key.replace(/\n[^\n]+\n-----END/, '\n-----END')}`, /key that cannot be read/],
    ];
    for (const [name, content, message] of cases) assert.match(problemOf(content), message, name);
    const source = file(`${plain.cert}\n${plain.key}`);
    const pfx = openssl('pkcs12', '-export', '-in', source, '-passout', 'pass:x');
    assert.match(problemOf(pfx), /not PEM but binary \(PFX or DER\); convert it with `openssl pkcs12/);
    const der = openssl('x509', '-in', source, '-outform', 'DER');
    assert.match(problemOf(der), /not PEM but binary/);
  });

  it('opens an encrypted key with AZURE_CLIENT_CERTIFICATE_PASSWORD, and says nothing of that password', () => {
    const keys = [
      openssl('pkcs8', '-topk8', '-in', file(plain.key), '-passout', `pass:${password}`, '-v2', 'aes-256-cbc'),
      openssl('rsa', '-in', file(plain.key), '-aes256', '-traditional', '-passout', `pass:${password}`),
    ];
    for (const key of keys) {
      const text = `${plain.cert}\n${key}`;
      assert.match(problemOf(text), /encrypted private key; set AZURE_CLIENT_CERTIFICATE_PASSWORD/);
      const right = load(variablesOf(text, { AZURE_CLIENT_CERTIFICATE_PASSWORD: password }));
      assert.ok(right.config !== null, JSON.stringify(right.problems));
      assert.ok(!JSON.stringify(describeConfig(right.config, right.settings)).includes(password));
      const wrong = load(variablesOf(text, { AZURE_CLIENT_CERTIFICATE_PASSWORD: `${password}-not` }));
      assert.deepEqual(
        wrong.problems.map(({ name }) => name),
        ['AZURE_CLIENT_CERTIFICATE_PASSWORD'],
      );
      assert.match(wrong.problems[0]?.message ?? '', /does not open the private key/);
      assert.ok(!JSON.stringify(wrong).includes(password));
      const { certificatePath } = right.config.credential as { certificatePath: string };
      const reading = readCertificate(certificatePath, password);
      assert.ok(reading.ok && !/ENCRYPTED/.test(reading.certificate.pem));
    }
    const unused = warningsOf(variablesOf(`${plain.cert}\n${plain.key}`, { AZURE_CLIENT_CERTIFICATE_PASSWORD: 'x' }));
    assert.match(unused['AZURE_CLIENT_CERTIFICATE_PATH'] ?? '', /PASSWORD has no effect/);
    const alone = warningsOf({ AZURE_CLIENT_CERTIFICATE_PASSWORD: 'x' });
    assert.match(alone['AZURE_CLIENT_CERTIFICATE_PASSWORD'] ?? '', /has no effect/);
  });

  it('takes any password that opens the key', () => {
    for (const one of ['changeit', 'Winter=2026', '$(NOT_A_REFERENCE)', 'Bearer x', '12345678']) {
      const key = openssl('pkcs8', '-topk8', '-in', file(plain.key), '-passout', `pass:${one}`, '-v2', 'aes-256-cbc');
      const { problems } = load(variablesOf(`${plain.cert}\n${key}`, { AZURE_CLIENT_CERTIFICATE_PASSWORD: one }));
      assert.deepEqual(problems, [], one);
    }
  });

  it('warns of a chain in reverse order, and takes the certificate of the key all the same', () => {
    const inOrder = variablesOf(`${issued.key}\n${issued.cert}\n${issuer.cert}`);
    assert.deepEqual(warningsOf(inOrder), {});
    const reversed = variablesOf(`${issuer.cert}\n${issued.cert}\n${issued.key}`);
    assert.match(warningsOf(reversed)['AZURE_CLIENT_CERTIFICATE_PATH'] ?? '', /does not begin with the certificate of/);
    for (const { AZURE_CLIENT_CERTIFICATE_PATH: name } of [inOrder, reversed]) {
      const reading = readCertificate(name, null);
      assert.ok(reading.ok);
      const blocks = reading.certificate.pem.split(/(?<=-----END [A-Z ]+-----\n)/);
      const flat = (text: string) => text.replace(/\s/g, '');
      assert.deepEqual(blocks.slice(0, 2).map(flat), [issued.cert, issuer.cert].map(flat));
      assert.equal(blocks.length, 3);
    }
  });

  it('fails the check when it has expired or is not valid yet, and lets the service start', async () => {
    const cases: readonly (readonly [Pair, RegExp])[] = [
      [
        await makePair({ notBeforeDate: inDays(-10), notAfterDate: inDays(-1) }),
        /expired on \d{4}-\d\d-\d\d; make a new/,
      ],
      [await makePair({ notBeforeDate: inDays(2), notAfterDate: inDays(90) }), /not valid before .*clock/],
    ];
    for (const [{ cert, key }, message] of cases) {
      const env = { ...minimal, ...variablesOf(`${cert}\n${key}`) };
      const checked = checkConfig(env);
      assert.equal(checked.config, null);
      assert.match(checked.problems[0]?.message ?? '', message);
      assert.equal(checked.problems[0]?.name, 'AZURE_CLIENT_CERTIFICATE_PATH');
      const started = load(env);
      assert.notEqual(started.config, null);
      assert.match(started.lapsed[0]?.message ?? '', message);
    }
  });

  it('warns from 30 days before its end, and shows the end', async () => {
    const ending = async (days: number) => {
      const { cert, key } = await makePair({ notBeforeDate: inDays(-1), notAfterDate: inDays(days) });
      return variablesOf(`${cert}\n${key}`);
    };
    const soon = await ending(29);
    assert.match(warningsOf(soon)['AZURE_CLIENT_CERTIFICATE_PATH'] ?? '', /ends on \d{4}-\d\d-\d\d; make a new one/);
    const late = await ending(31);
    assert.deepEqual(warningsOf(late), {});
    const { config, settings } = load(late);
    assert.ok(config !== null);
    const shown = describeConfig(config, settings).find(({ name }) => name === 'credential ends')?.value ?? '';
    assert.ok(Math.abs(Date.parse(shown) - Date.now() - 31 * dayMs) < dayMs, shown);
  });

  it('is read again when the file was renewed, and its end follows', async () => {
    const variables = variablesOf(`${plain.cert}\n${plain.key}`);
    const endsAt = createCredentialEnd(configOf(variables).credential);
    const before = endsAt() ?? 0;
    assert.ok(before > Date.now() + 300 * dayMs);
    writeFileSync(variables.AZURE_CLIENT_CERTIFICATE_PATH, `${issued.cert}\n${issued.key}\n${issuer.cert}`);
    const then = endsAt() ?? 0;
    assert.ok(then < before && then > Date.now() + 100 * dayMs);
    rmSync(variables.AZURE_CLIENT_CERTIFICATE_PATH);
    assert.equal(endsAt(), null);
  });

  it('shows nothing of what the file holds', () => {
    const text = `${plain.cert}\n${issued.key}`;
    const loaded = JSON.stringify(load(variablesOf(text)));
    for (const line of readFileSync(file(text), 'utf8').split('\n')) {
      assert.ok(line.startsWith('-----') || line === '' || !loaded.includes(line), line);
    }
  });
});

describe('AZURE_CLIENT_SECRET_EXPIRES', () => {
  const name = 'AZURE_CLIENT_SECRET_EXPIRES';
  const withSecret = { ...application, AZURE_CLIENT_SECRET: 'x' };
  const endOf = (value: string) => createCredentialEnd(configOf({ ...withSecret, [name]: value }).credential)();

  it('is a date or an ISO time', () => {
    assert.equal(endOf('2037-01-31'), Date.UTC(2037, 0, 31));
    assert.equal(endOf('2037-01-31T12:30:00Z'), Date.UTC(2037, 0, 31, 12, 30));
    assert.equal(endOf('2037-01-31T12:30:00.1234567+02:00'), Date.UTC(2037, 0, 31, 10, 30, 0, 123));
    assert.equal(endOf('2037-01-31T12:30'), Date.UTC(2037, 0, 31, 12, 30));
    assert.equal(createCredentialEnd(configOf(withSecret).credential)(), null);
    for (const wrong of [
      '31.01.2037',
      '2037-02-30',
      '2037-13-01',
      '2037-1-1',
      '2037-01-31T25:00:00Z',
      '1800000000',
      'soon',
    ]) {
      assert.match(problemsOf({ ...withSecret, [name]: wrong })[name] ?? '', /is no date, expected YYYY-MM-DD/, wrong);
    }
  });

  it('is warned of from 30 days before, and afterwards', () => {
    const warning = (days: number) =>
      warningsOf({ ...withSecret, [name]: new Date(Date.now() + days * dayMs).toISOString() })[name];
    assert.equal(warning(31), undefined);
    assert.match(warning(29) ?? '', /ends on/);
    assert.match(warning(-1) ?? '', /ended on/);
    assert.match(warningsOf({ [name]: '2037-01-31' })[name] ?? '', /no effect/);
  });
});
