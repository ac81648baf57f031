import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { configOf, load, minimal, problemsOf, requestKind, secret, warningsOf } from './support.ts';

describe('the least configuration', () => {
  it('gives the defaults of the contract', () => {
    const config = configOf();
    assert.deepEqual(config.webhook, {
      secret,
      previousSecret: null,
      escaping: 'auto',
      maxBodyBytes: 5_242_880,
      keepAliveMs: 650_000,
      allowedCidrs: [],
      trustProxy: ['loopback'],
      host: '0.0.0.0',
      port: 8080,
    });
    assert.deepEqual(config.admin, { host: '127.0.0.1', port: 9090, isDefaultPort: true, token: null });
    assert.deepEqual(config.outbox, { dataDir: './data', database: null, maxBytes: 1_073_741_824, dedupDays: 7 });
    assert.deepEqual(config.ingestion.streams, { request: 'Custom-AponoAccessRequests_CL' });
    assert.deepEqual(config.ingestion.explicitStreams, []);
    assert.equal(config.flushIntervalMs, 1000);
    assert.equal(config.shutdownTimeoutMs, 25_000);
    assert.equal(config.logLevel, 'info');
    assert.equal(config.cloud.name, 'public');
    assert.equal(config.resourceManager, 'https://management.azure.com');
    assert.deepEqual(config.credential, { type: 'managed', clientId: null });
  });

  it('has no warnings', () => {
    assert.deepEqual(load().warnings, []);
  });

  it('takes an empty variable for none, the required ones too', () => {
    assert.equal(configOf({ PORT: '', TRUST_PROXY: '', AZURE_CLIENT_SECRET: '' }).webhook.port, 8080);
    assert.match(problemsOf({ APONO_WEBHOOK_SECRET: '' })['APONO_WEBHOOK_SECRET'] ?? '', /required and not set/);
  });

  it('is frozen to its last part', () => {
    const config = configOf();
    assert.throws(() => Object.assign(config.webhook, { port: 1 }), TypeError);
    assert.throws(() => Object.assign(config.ingestion.streams, { request: 'x' }), TypeError);
    assert.throws(() => Object.assign(config, { logLevel: 'debug' }), TypeError);
  });

  it('knows the streams of every kind that is registered, under a variable that is in use', () => {
    const { config, warnings } = loadConfig({ ...minimal, LOGS_INGESTION_STREAM: 'Custom-Other' }, kinds);
    assert.deepEqual(
      Object.keys(config?.ingestion.streams ?? {}),
      kinds.map((kind) => kind.name),
    );
    assert.deepEqual(config?.ingestion.explicitStreams, ['request']);
    assert.deepEqual(warnings, []);
  });
});

describe('problems', () => {
  it('are all told at once, one a variable, in the order of the documentation', () => {
    const { config, problems } = loadConfig(
      {
        APONO_WEBHOOK_SECRET: 'short',
        LOGS_INGESTION_ENDPOINT: 'http://x.ingest.monitor.azure.com',
        DATA_COLLECTION_RULE_ID: 'dcr-xyz',
        AZURE_CLOUD: 'mars',
        PORT: '99999',
        TRUST_PROXY: 'true',
        AZURE_CLIENT_SECRET: 'x',
      },
      [requestKind],
    );
    assert.equal(config, null);
    assert.deepEqual(
      problems.map(({ name }) => name),
      [
        'APONO_WEBHOOK_SECRET',
        'LOGS_INGESTION_ENDPOINT',
        'DATA_COLLECTION_RULE_ID',
        'AZURE_CLOUD',
        'AZURE_TENANT_ID',
        'AZURE_CLIENT_ID',
        'PORT',
        'TRUST_PROXY',
      ],
    );
  });

  it('names what is required when nothing is set', () => {
    const { problems } = loadConfig({}, [requestKind]);
    assert.deepEqual(
      problems.map(({ name }) => name),
      ['APONO_WEBHOOK_SECRET', 'LOGS_INGESTION_ENDPOINT', 'DATA_COLLECTION_RULE_ID'],
    );
  });

  it('shows the value that is wrong', () => {
    assert.match(problemsOf({ PORT: '80a' })['PORT'] ?? '', /"80a" is not a whole number from 0 to 65535/);
  });
});

describe('secrets', () => {
  it('must have 16 characters', () => {
    assert.match(problemsOf({ APONO_WEBHOOK_SECRET: 'a'.repeat(15) })['APONO_WEBHOOK_SECRET'] ?? '', /15 characters/);
    assert.equal(configOf({ APONO_WEBHOOK_SECRET: 'a'.repeat(16) }).webhook.secret, 'a'.repeat(16));
    assert.ok('APONO_WEBHOOK_SECRET_PREVIOUS' in problemsOf({ APONO_WEBHOOK_SECRET_PREVIOUS: 'short' }));
  });

  for (const [what, value] of [
    ['a line break', 'a-secret-with\na-line-break'],
    ['a space at the end', 'a-secret-of-16-characters '],
    ['a control character', 'a-secret-with-\u0007-a-bell'],
  ]) {
    it(`must not hold ${what}, which no header carries`, () => {
      const message = problemsOf({ APONO_WEBHOOK_SECRET: value })['APONO_WEBHOOK_SECRET'] ?? '';
      assert.match(message, /cannot be sent in a header/);
      assert.ok(!message.includes(value ?? ''));
    });
  }

  it('may hold inner spaces and letters of any script', () => {
    for (const value of ['correct horse battery staple', 'ein-Schlüssel-mit-Umlaut']) {
      assert.equal(configOf({ APONO_WEBHOOK_SECRET: value }).webhook.secret, value);
    }
  });

  it('the previous one must be another', () => {
    const message = problemsOf({ APONO_WEBHOOK_SECRET_PREVIOUS: secret })['APONO_WEBHOOK_SECRET_PREVIOUS'] ?? '';
    assert.match(message, /the same as APONO_WEBHOOK_SECRET/);
    assert.equal(configOf({ APONO_WEBHOOK_SECRET_PREVIOUS: `${secret}2` }).webhook.previousSecret, `${secret}2`);
  });

  it('an admin token is required where the admin listener can be reached from elsewhere', () => {
    assert.match(problemsOf({ ADMIN_HOST: '0.0.0.0' })['ADMIN_TOKEN'] ?? '', /required unless ADMIN_HOST is loopback/);
    for (const host of ['localhost', '127.8.0.1', '::1', '[::1]']) {
      assert.equal(configOf({ ADMIN_HOST: host }).admin.token, null);
    }
    const open = configOf({ ADMIN_HOST: '0.0.0.0', ADMIN_TOKEN: 'admin-token-of-20-ch' });
    assert.equal(open.admin.token, 'admin-token-of-20-ch');
  });

  it('one pasted into another variable is not shown there either', () => {
    const { problems } = load({ PORT: secret, DATA_COLLECTION_RULE_ID: `dcr-${secret}` });
    assert.equal(problems.length, 2);
    assert.ok(!JSON.stringify(problems).includes(secret));
  });

  it('the login in a URL is not shown', () => {
    const { problems } = load({ LOGS_INGESTION_ENDPOINT: 'https://me:hunter2@x.ingest.monitor.azure.com' });
    assert.match(problems[0]?.message ?? '', /user name or password/);
    assert.ok(!JSON.stringify(problems).includes('hunter2'));
  });
});

describe('unknown names', () => {
  it('of our prefixes are a warning with the nearest known name', () => {
    const warnings = warningsOf({
      APONO_WEBHOOK_SECRETS: 'x',
      OUTBOX_MAXBYTES: '1',
      LOGS_INGESTION_STREAMS: 'x',
      APONO_WEBHOOK_SECRET_PREVIOS_FILE: '/x',
    });
    assert.match(warnings['APONO_WEBHOOK_SECRETS'] ?? '', /did you mean APONO_WEBHOOK_SECRET\?/);
    assert.match(warnings['OUTBOX_MAXBYTES'] ?? '', /did you mean OUTBOX_MAX_BYTES\?/);
    assert.match(warnings['LOGS_INGESTION_STREAMS'] ?? '', /did you mean LOGS_INGESTION_STREAM\?/);
    assert.match(
      warnings['APONO_WEBHOOK_SECRET_PREVIOS_FILE'] ?? '',
      /did you mean APONO_WEBHOOK_SECRET_PREVIOUS_FILE\?/,
    );
  });

  it('never show their value', () => {
    assert.ok(!JSON.stringify(load({ APONO_WEBHOK_SECRET: 'the-real-secret-here' })).includes('the-real-secret-here'));
  });

  it('of others, empty ones, and those that Kubernetes makes for a Service are left alone', () => {
    const names = {
      PATH: '/bin',
      APONOS_X: '1',
      OUTBOX_SOMETHING: '',
      APONO_SENTINEL_SERVICE_HOST: '10.0.0.1',
      APONO_SENTINEL_SERVICE_PORT_HTTP: '8080',
      APONO_SENTINEL_PORT: 'tcp://10.0.0.1:8080',
      APONO_SENTINEL_PORT_8080_TCP_ADDR: '10.0.0.1',
    };
    assert.deepEqual(warningsOf(names), {});
  });
});

describe('streams', () => {
  it('off means none, and an explicit one is marked', () => {
    assert.deepEqual(configOf({ LOGS_INGESTION_STREAM: 'off' }).ingestion.streams, { request: null });
    assert.match(warningsOf({ LOGS_INGESTION_STREAM: 'off' })['LOGS_INGESTION_STREAM'] ?? '', /quarantined/);
    const config = configOf({ LOGS_INGESTION_STREAM: 'Custom-AponoAccessRequests' });
    assert.deepEqual(config.ingestion.streams, { request: 'Custom-AponoAccessRequests' });
    assert.deepEqual(config.ingestion.explicitStreams, ['request']);
  });

  it('of a further kind take its default or its variable', () => {
    const audit = { name: 'audit', streamVariable: 'LOGS_INGESTION_STREAM_AUDIT' } as const;
    const byDefault = loadConfig(minimal, [requestKind, audit]).config;
    assert.equal(byDefault?.ingestion.streams['audit'], 'Custom-AponoAuditLogs_CL');
    const off = loadConfig({ ...minimal, LOGS_INGESTION_STREAM_AUDIT: 'off' }, [requestKind, audit]).config;
    assert.equal(off?.ingestion.streams['audit'], null);
    assert.deepEqual(off?.ingestion.explicitStreams, ['audit']);
  });
});
