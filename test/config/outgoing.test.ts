import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { describeConfig } from '../../src/config/config.ts';
import { describeProxy, usesProxy } from '../../src/config/proxy.ts';
import { makeCertificate } from '../../src/emulator/certificate.ts';
import { configOf, load, problemsOf, warningsOf } from './support.ts';

type Variables = Readonly<Record<string, string>>;

const proxyOf = (variables: Variables) => configOf(variables).proxy;

function placeOf(value: string) {
  const proxy = proxyOf({ HTTPS_PROXY: value });
  return proxy === null ? null : [proxy.protocol, proxy.host, proxy.port, proxy.login?.user, proxy.login?.password];
}

describe('HTTPS_PROXY', () => {
  it('is read as curl reads it, with or without scheme, port, user and password', () => {
    const none = [undefined, undefined];
    assert.deepEqual(placeOf('10.0.0.1:3128'), ['http', '10.0.0.1', 3128, ...none]);
    assert.deepEqual(placeOf('proxy:3128'), ['http', 'proxy', 3128, ...none]);
    assert.deepEqual(placeOf('localhost:3128'), ['http', 'localhost', 3128, ...none]);
    assert.deepEqual(placeOf('HTTP://Proxy.Example:80/'), ['http', 'proxy.example', 80, ...none]);
    assert.deepEqual(placeOf('https://proxy.example'), ['https', 'proxy.example', 443, ...none]);
    assert.deepEqual(placeOf('[2001:db8::1]:3128'), ['http', '2001:db8::1', 3128, ...none]);
    assert.deepEqual(placeOf(' http://proxy:3128 '), ['http', 'proxy', 3128, ...none]);
    assert.deepEqual(placeOf('CORP\\bob:pw@proxy:3128'), ['http', 'proxy', 3128, 'CORP\\bob', 'pw']);
    assert.deepEqual(placeOf('http://bob:p#w@proxy:3128'), ['http', 'proxy', 3128, 'bob', 'p#w']);
    assert.deepEqual(placeOf('http://bob:a@b@proxy:3128'), ['http', 'proxy', 3128, 'bob', 'a@b']);
    assert.deepEqual(placeOf('http://bob:a/b?c:d@[::1]:3128'), ['http', '::1', 3128, 'bob', 'a/b?c:d']);
    assert.deepEqual(placeOf('http://bob:100%@proxy:3128'), ['http', 'proxy', 3128, 'bob', '100%']);
    assert.deepEqual(placeOf('http://b%40b:p%23w%C3%A9%zz@proxy:1'), ['http', 'proxy', 1, 'b@b', 'p#wé%zz']);
    assert.deepEqual(placeOf('http://bob@proxy:3128'), ['http', 'proxy', 3128, 'bob', '']);
  });

  it('takes any user and password, raw or percent-encoded, to mean themselves', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    fc.assert(
      fc.property(text, text, (user, password) => {
        const encoded = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
        assert.deepEqual(placeOf(`http://${encoded}@proxy:3128`), ['http', 'proxy', 3128, user, password]);
      }),
    );
    const raw = fc.string({ unit: fc.constantFrom(...'aB3#@\\/?%&:!$ é'), minLength: 1 });
    fc.assert(
      fc.property(raw, (password) => {
        fc.pre(!/%[0-9a-f]{2}/i.test(password));
        assert.deepEqual(placeOf(`http://bob:${password}@proxy:3128`), ['http', 'proxy', 3128, 'bob', password]);
      }),
    );
  });

  it('is refused by its own name and without its value where it cannot be one', () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['socks5://bob:hunter2@proxy:1080', /SOCKS/],
      ['SOCKS5H://bob:hunter2@proxy:1080', /SOCKS/],
      ['ftp://bob:hunter2@proxy:1080', /scheme/],
      ['http://bob:hunter2@', /host/],
      ['http://bob:hunter2@:3128', /host/],
      ['http://bob:hunter2@proxy:port', /port/],
      ['http://bob:hunter2@proxy:0', /port/],
      ['http://bob:hunter2@proxy:70000', /port/],
      ['http://bob:hunter2@proxy:1:2', /port/],
      ['http://bob:hunter2@2001:db8::1', /brackets/],
      ['http://bob:hunter2@[proxy]:3128', /host/],
      ['http://bob:hunter2@10.0.0.256:3128', /host/],
      ['http://bob:hunter2@pro xy:3128', /host/],
      ['http://bob:hunter2\n@proxy:3128', /line break/],
    ];
    for (const name of ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']) {
      for (const [value, message] of cases) {
        const loaded = load({ [name]: value });
        assert.equal(loaded.config, null, value);
        assert.deepEqual(
          loaded.problems.map((problem) => problem.name),
          [name],
        );
        assert.match(loaded.problems[0]?.message ?? '', message, value);
        assert.ok(!JSON.stringify(loaded).includes('hunter2'), value);
      }
    }
  });

  it('stands in lower case before upper case, and before ALL_PROXY; HTTP_PROXY is not for https', () => {
    const proxies = { https_proxy: 'a:1', HTTPS_PROXY: 'b:1', all_proxy: 'c:1', ALL_PROXY: 'd:1' };
    const hostWithout = (...left: string[]) =>
      proxyOf(Object.fromEntries(Object.entries(proxies).filter(([name]) => !left.includes(name))))?.host;
    assert.equal(hostWithout(), 'a');
    assert.equal(hostWithout('https_proxy'), 'b');
    assert.equal(hostWithout('https_proxy', 'HTTPS_PROXY'), 'c');
    assert.equal(hostWithout('https_proxy', 'HTTPS_PROXY', 'all_proxy'), 'd');
    assert.equal(proxyOf({ https_proxy: '', HTTPS_PROXY: 'b:1' })?.host, 'b');
    assert.match(warningsOf(proxies)['HTTPS_PROXY'] ?? '', /https_proxy is set and goes first/);
    assert.equal(warningsOf({ https_proxy: 'a:1', HTTPS_PROXY: 'a:1' })['HTTPS_PROXY'], undefined);
    // A proxy that is not used may be one that could not be.
    assert.equal(proxyOf({ HTTPS_PROXY: 'b:1', ALL_PROXY: 'socks5://c:1' })?.host, 'b');
    assert.equal(proxyOf({ HTTP_PROXY: 'http://e:1', http_proxy: 'http://f:1' }), null);
    assert.match(warningsOf({ HTTP_PROXY: 'http://e:1' })['HTTP_PROXY'] ?? '', /HTTPS_PROXY/);
  });

  it('without a port is port 1080, as with curl, and a warning', () => {
    assert.deepEqual(placeOf('http://proxy')?.[2], 1080);
    assert.match(warningsOf({ HTTPS_PROXY: 'http://proxy' })['HTTPS_PROXY'] ?? '', /1080/);
    assert.equal(warningsOf({ HTTPS_PROXY: 'http://proxy:3128' })['HTTPS_PROXY'], undefined);
  });

  it('is shown without user and password', () => {
    const { config, settings } = load({ HTTPS_PROXY: 'http://bob:hunter2@[::1]:3128' });
    assert.ok(config !== null && config.proxy !== null);
    const described = describeConfig(config, settings);
    assert.ok(!/hunter2|bob/.test(JSON.stringify(described)));
    const shown = described.find(({ name }) => name === 'proxy')?.value;
    assert.equal(shown, 'http://[::1]:3128 (HTTPS_PROXY, with user and password)');
    assert.equal(shown, describeProxy(config.proxy));
  });
});

describe('NO_PROXY', () => {
  const goesBy = (list: string, url: string, name = 'NO_PROXY') =>
    usesProxy(proxyOf({ HTTPS_PROXY: 'proxy:3128', [name]: list }), new URL(url));

  it('has the forms of curl, and host:port and *.domain beside them', () => {
    const direct: readonly (readonly [string, string])[] = [
      ['*', 'https://login.microsoftonline.com'],
      ['example.com', 'https://example.com'],
      ['example.com', 'https://a.b.example.com'],
      ['EXAMPLE.com.', 'https://a.example.COM./'],
      ['.example.com', 'https://example.com'],
      ['.example.com', 'https://a.example.com'],
      ['*.example.com', 'https://a.example.com'],
      ['other.net, example.com', 'https://example.com'],
      ['other.net example.com', 'https://example.com'],
      [' ,,other.net ,\texample.com , ', 'https://example.com'],
      ['example.com:443', 'https://example.com'],
      ['example.com:8443', 'https://a.example.com:8443'],
      ['10.1.2.3', 'https://10.1.2.3'],
      ['10.1.2.3:8443', 'https://10.1.2.3:8443'],
      ['10.0.0.0/8', 'https://10.1.2.3'],
      ['10.0.0.0/8', 'https://10.1.2.3:8443'],
      ['[::1]', 'https://[::1]'],
      ['::1', 'https://[::1]:8443'],
      ['[::1]:8443', 'https://[::1]:8443'],
      ['1:2:3:4:5:6:7:8:8443', 'https://[1:2:3:4:5:6:7:8]:8443'],
      ['2001:db8::/32', 'https://[2001:db8:1::2]'],
      ['[2001:db8::]/32', 'https://[2001:db8:1::2]'],
      ['localhost', 'https://localhost:8443'],
    ];
    for (const [list, url] of direct) assert.equal(goesBy(list, url), false, `${list} ${url}`);
    const proxied: readonly (readonly [string, string])[] = [
      ['example.com', 'https://badexample.com'],
      ['example.com', 'https://example.com.evil.net'],
      ['example.com:8443', 'https://example.com'],
      ['10.0.0.0/8', 'https://11.1.2.3'],
      ['10.0.0.0/8', 'https://10.example.com'],
      ['[::1]:8443', 'https://[::1]'],
      ['1:2:3:4:5:6:7:8:8443', 'https://[1:2:3:4:5:6:7:8]'],
      ['127.0.0.1', 'https://localhost'],
      ['', 'https://example.com'],
    ];
    for (const [list, url] of proxied) assert.equal(goesBy(list, url), true, `${list} ${url}`);
    assert.equal(goesBy('example.com', 'https://example.com', 'no_proxy'), false);
  });

  it('need not name the metadata service of Azure, which is never asked through a proxy', () => {
    assert.equal(goesBy('', 'http://169.254.169.254/metadata/identity/oauth2/token'), false);
  });

  it('is refused where an entry could match no host', () => {
    for (const wrong of ['10.0.0.0/33', 'http://example.com', 'example.com:70000', '10.*', '[::1', 'a*.example.com']) {
      const message = problemsOf({ HTTPS_PROXY: 'proxy:3128', NO_PROXY: `localhost,${wrong}` })['NO_PROXY'];
      assert.match(message ?? '', /match no host/, wrong);
    }
    assert.notEqual(load({ NO_PROXY: '10.*' }).config, null, 'without a proxy it means nothing');
  });
});

describe('NODE_EXTRA_CA_CERTS', () => {
  function temporaryFile(t: TestContext, content: string): string {
    const folder = mkdtempSync(path.join(tmpdir(), 'apono-config-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'ca.pem');
    writeFileSync(file, content);
    return file;
  }

  it('names a file of certificates in PEM', async (t) => {
    const { caPem, certPem } = await makeCertificate(['localhost']);
    const problemOf = (content: string) =>
      problemsOf({ NODE_EXTRA_CA_CERTS: temporaryFile(t, content) })['NODE_EXTRA_CA_CERTS'];
    assert.equal(problemOf(`# Our proxy\n${caPem}\n${certPem.replaceAll('\n', '\r\n')}`), undefined);
    assert.match(problemOf('') ?? '', /holds no certificate in PEM/);
    assert.match(problemOf('\u0030\u0082binary') ?? '', /holds no certificate in PEM/);
    const cut = caPem.replace(/\n[^\n]+\n-----END/, '\n-----END');
    assert.match(problemOf(`${caPem}\n${cut}`) ?? '', /cannot be read; export it again/);
    const missing = problemsOf({ NODE_EXTRA_CA_CERTS: '/nowhere/ca.pem' })['NODE_EXTRA_CA_CERTS'];
    assert.match(missing ?? '', /"\/nowhere\/ca\.pem", which cannot be read \(ENOENT\)/);
  });
});

describe('NODE_TLS_REJECT_UNAUTHORIZED', () => {
  const name = 'NODE_TLS_REJECT_UNAUTHORIZED';
  const identity = { AZURE_TENANT_ID: 'contoso.com', AZURE_CLIENT_ID: 'app-1', AZURE_CLIENT_SECRET: 'abc' };
  const local = {
    ...identity,
    LOGS_INGESTION_ENDPOINT: 'https://localhost:1',
    AZURE_AUTHORITY_HOST: 'https://[::1]:1',
  };

  it('is refused as 0, which is what Node reads as "check no certificate"', () => {
    assert.match(problemsOf({ [name]: '0' })[name] ?? '', /NODE_EXTRA_CA_CERTS/);
    for (const value of ['', '1', 'false', '00']) assert.equal(problemsOf({ [name]: value })[name], undefined, value);
  });

  it('is listed beside an endpoint that is missing or wrong', () => {
    for (const endpoint of ['', 'http://localhost:1', 'https://example.com']) {
      const problems = problemsOf({ LOGS_INGESTION_ENDPOINT: endpoint, [name]: '0' });
      assert.deepEqual(Object.keys(problems), ['LOGS_INGESTION_ENDPOINT', name], endpoint);
    }
  });

  it('may be 0 where everything that is sent to is on this machine', () => {
    assert.deepEqual(problemsOf({ ...local, [name]: '0' }), {});
    const elsewhere: readonly Variables[] = [
      { LOGS_INGESTION_ENDPOINT: 'https://a.westeurope-1.ingest.monitor.azure.com' },
      { AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com' },
      { AZURE_RESOURCE_MANAGER_ENDPOINT: 'https://management.azure.com' },
      {
        SENTINEL_WORKSPACE_ID: '/subscriptions/a/resourceGroups/b/providers/Microsoft.OperationalInsights/workspaces/c',
      },
      { HTTPS_PROXY: 'https://proxy.example' },
    ];
    for (const one of elsewhere) {
      assert.ok(problemsOf({ ...local, ...one, [name]: '0' })[name] !== undefined, JSON.stringify(one));
    }
  });
});
