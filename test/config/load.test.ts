// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references that were not resolved are what is tested
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { clouds } from '../../src/config/clouds.ts';
import { loadConfig } from '../../src/config/load.ts';
import { variableNames, variables } from '../../src/config/variables.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { configOf, load, minimal, problemsOf, secret, warningsOf } from './support.ts';

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
    assert.deepEqual(config.admin, {
      host: '127.0.0.1',
      port: 9090,
      isDefaultPort: true,
      token: null,
      metricsToken: null,
    });
    assert.deepEqual(config.outbox, { dataDir: './data', database: null, maxBytes: 1_073_741_824, dedupDays: 7 });
    assert.deepEqual(
      config.ingestion.streams,
      Object.fromEntries(kinds.map(({ name, defaultStream }) => [name, defaultStream])),
    );
    assert.deepEqual(config.ingestion.explicitStreams, []);
    assert.equal(config.flushIntervalMs, 1000);
    assert.equal(config.shutdownTimeoutMs, 25_000);
    assert.equal(config.logLevel, 'info');
    assert.equal(config.cloud, clouds.public);
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
    const { config, warnings } = loadConfig({ ...minimal, LOGS_INGESTION_STREAM: 'Custom-Other' });
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
    const { config, problems } = loadConfig({
      APONO_WEBHOOK_SECRET: 'short',
      LOGS_INGESTION_ENDPOINT: 'http://x.ingest.monitor.azure.com',
      DATA_COLLECTION_RULE_ID: 'dcr-xyz',
      AZURE_CLOUD: 'mars',
      PORT: '99999',
      TRUST_PROXY: 'true',
      AZURE_CLIENT_SECRET: 'x',
    });
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
    const { problems } = loadConfig({});
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
    assert.match(
      problemsOf({ APONO_WEBHOOK_SECRET: '4f9c21d07be8a65' })['APONO_WEBHOOK_SECRET'] ?? '',
      /15 characters/,
    );
    assert.equal(configOf({ APONO_WEBHOOK_SECRET: '4f9c21d07be8a653' }).webhook.secret, '4f9c21d07be8a653');
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

  it('may hold inner spaces, signs and what looks a little like a reference, a header or a placeholder', () => {
    for (const value of [
      'correct horse battery staple',
      'pa$$w{}rd-%-and-$-and-@-signs',
      'Q2hhbmdlIG1lIG5vdCwgSSBhbSBiYXNlNjQ=',
      'QUJDREVGR0hJSktMTU5PUA==',
      'ABCDEFGH23456777ABCDEFGH23456777====',
      '0b1f6471-1bf0-4dda-aec3-111122223333',
      'your-dog-ate-the-changelog-in-1987',
      'bearer-of-good-news-from-afar',
      '$5$rounds=5000$usesomesillystri$',
      'q:b/c?d=e&z=g#h;i,j!k~l^m|n',
      'fJ3k9sLq2Wm8Xz5=Vb7Nt1Rp4',
      'a#{b}c-and-__NOT_A_NAME',
    ]) {
      assert.equal(configOf({ APONO_WEBHOOK_SECRET: value }).webhook.secret, value);
      assert.deepEqual(warningsOf({ APONO_WEBHOOK_SECRET: value }), {});
    }
  });

  const notMeant: Readonly<Record<string, readonly string[]>> = {
    'is a reference that was not resolved': [
      '${APONO_WEBHOOK_SECRET}',
      '${APONO_WEBHOOK_SECRET:-default value}',
      '${{ secrets.APONO_WEBHOOK_SECRET }}',
      'prefix-${APONO_SECRET}-suffix',
      '$(APONO_WEBHOOK_SECRET)',
      '$(cat /run/secrets/apono)',
      '$APONO_WEBHOOK_SECRET',
      '%APONO_WEBHOOK_SECRET%',
      '{{ .Values.webhookSecret }}',
      '{{resolve:secretsmanager:apono:SecretString}}',
      '<the-secret-from-apono>',
      '@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/apono)',
      '@Microsoft.AppConfiguration(Endpoint=https://x.azconfig.io; Key=secret)',
      'https://kv.vault.azure.net/secrets/apono/0123456789abcdef',
      'op://vault/apono/webhook-secret',
      'vault:secret/data/apono#webhook',
      'ref+vault://secret/apono#/webhook',
      'secretref:apono-webhook-secret',
      'arn:aws:secretsmanager:eu-west-1:123456789012:secret:apono-AbCdEf',
      'projects/my-project/secrets/apono/versions/latest',
      'file:///run/secrets/apono_webhook_secret',
      '"${APONO_WEBHOOK_SECRET}"',
      '${X}-and-fifteen-more',
      '#{APONO_WEBHOOK_SECRET}#',
      '#{Octopus.Webhook.Secret}',
      '__APONO_WEBHOOK_SECRET__',
    ],
    'is the path of a file': [
      '/run/secrets/apono_webhook_secret',
      './secrets/apono_webhook_secret',
      'C:\\secrets\\apono.txt',
    ],
    'is a whole header': [
      'Bearer 4f9c21d07be8a6534f9c21d0',
      'Authorization: Bearer 4f9c21d07be8a653',
      'X-Webhook-Secret: 4f9c21d07be8a653',
    ],
    'is an assignment': [
      'APONO_WEBHOOK_SECRET=4f9c21d07be8a653',
      'export APONO_WEBHOOK_SECRET=4f9c21d07be8a653',
      'webhook_secret=4f9c21d07be8a653',
      'WebhookToken=4f9c21d07be8a653',
    ],
    'is a placeholder': [
      'changeme-changeme',
      'change-me-please-1234',
      'CHANGE_THIS_SECRET',
      'your-secret-here',
      'your_webhook_secret_here',
      'your-256-bit-secret',
      'replace-me-with-a-real-secret',
      'placeholder-placeholder',
      'example-webhook-secret',
      'insert your token here',
      'passwordpassword',
      'secret-secret-secret',
      '1234567890123456',
      'qwertyuiopasdfgh',
      'xxxxxxxxxxxxxxxxxxxx',
      '****************',
    ],
    'holds a character that cannot be seen': [
      '4f9c21d07be8\u200ba6534f9c',
      '\ufeff4f9c21d07be8a6534f9c',
      '4f9c21d07be8\u00a0a6534f9c',
      '4f9c21d07be8\u202ea6534f9c',
      '4f9c21d07be8\u2028a6534f9c',
    ],
    'holds a character outside ASCII': ['ein-Schlüssel-mit-Umlaut', '“4f9c21d07be8a6534f9c”', '４f9c21d07be8a6534f9c'],
  };
  for (const [why, values] of Object.entries(notMeant)) {
    for (const value of values) {
      it(`refuses ${JSON.stringify(value)}, which ${why}, and does not show it`, () => {
        for (const name of ['APONO_WEBHOOK_SECRET', 'APONO_WEBHOOK_SECRET_PREVIOUS', 'ADMIN_TOKEN', 'METRICS_TOKEN']) {
          const { [name]: message = '', ...others } = problemsOf({ [name]: value });
          assert.ok(message.startsWith(`the value ${why}`), `${name}: ${message}`);
          assert.ok(!message.includes(value));
          assert.deepEqual(others, {});
        }
      });
    }
  }

  it('any hexadecimal or Base64 secret is taken, whatever it happens to be', () => {
    const bytes = fc.uint8Array({ minLength: 24, maxLength: 48 });
    fc.assert(
      fc.property(bytes, fc.constantFrom('hex', 'base64', 'base64url'), (random, encoding) => {
        fc.pre(new Set(random).size > 1);
        const value = Buffer.from(random).toString(encoding as BufferEncoding);
        assert.equal(configOf({ APONO_WEBHOOK_SECRET: value }).webhook.secret, value);
      }),
    );
  });

  for (const quote of ['"', "'"]) {
    it(`in ${quote} are taken as they are, with a warning, since docker run --env-file keeps the quotes`, () => {
      const value = `${quote}4f9c21d07be8a6534f9c${quote}`;
      assert.equal(configOf({ APONO_WEBHOOK_SECRET: value }).webhook.secret, value);
      const { APONO_WEBHOOK_SECRET: message = '' } = warningsOf({ APONO_WEBHOOK_SECRET: value });
      assert.match(message, /^has quotes around it, .* --env-file/);
      assert.ok(!message.includes('4f9c'));
    });
  }

  it('of the application: its GUID is the id, and what nobody means as a secret is refused', () => {
    const application = { AZURE_TENANT_ID: 'contoso.com', AZURE_CLIENT_ID: '0b1f6471-1bf0-4dda-aec3-111122223333' };
    const messageOf = (value: string) =>
      problemsOf({ ...application, AZURE_CLIENT_SECRET: value })['AZURE_CLIENT_SECRET'] ?? '';
    assert.match(
      messageOf('72f988bf-86f1-41af-91ab-2d7cd011db47'),
      /is a GUID, so it is the secret's ID; set the secret's Value/,
    );
    assert.match(messageOf('@Microsoft.KeyVault(VaultName=kv;SecretName=s)'), /is a reference/);
    assert.match(messageOf('${AZURE_CLIENT_SECRET}'), /is a reference/);
    assert.match(messageOf('changeme'), /is a placeholder/);
    assert.match(messageOf('aB38Q~.gHt5\u200bz'), /cannot be seen \(U\+200B\)/);
    assert.match(messageOf('aB38Q~.gHt5ä'), /outside ASCII/);
    assert.match(messageOf('aB38Q~.gHt5 '), /space at its end/);
    assert.equal(messageOf('aB38Q~.gHt5zQ_7xYmW-1n.kPqLd0RtVuE3cJ2sFa'), '');
  });

  it('of metrics must be another than that of the admin API', () => {
    const token = '4f9c21d07be8a6534f9c';
    assert.match(
      problemsOf({ ADMIN_TOKEN: token, METRICS_TOKEN: token })['METRICS_TOKEN'] ?? '',
      /the same as ADMIN_TOKEN/,
    );
    assert.equal(configOf({ METRICS_TOKEN: token }).admin.metricsToken, token);
    assert.match(problemsOf({ ADMIN_HOST: '0.0.0.0', METRICS_TOKEN: token })['ADMIN_TOKEN'] ?? '', /is required/);
  });

  it('a reference that was not resolved is no value of any other variable either', () => {
    for (const name of variableNames.filter((other) => !variables[other].secret)) {
      for (const value of ['${VALUE}', '$(VALUE)', '{{ value }}', '%VALUE%']) {
        assert.ok(name in problemsOf({ [name]: value }), `${name}=${value}`);
      }
    }
    const rule = '/subscriptions/s/resourceGroups/${GROUP}/providers/Microsoft.Insights/dataCollectionRules/r';
    assert.ok('DATA_COLLECTION_RULE_RESOURCE_ID' in problemsOf({ DATA_COLLECTION_RULE_RESOURCE_ID: rule }));
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
      LOG_ANALYTICS_WORKSPACE: 'x',
      APONO_WEBHOOK_SECRET_PREVIOS_FILE: '/x',
    });
    assert.match(warnings['APONO_WEBHOOK_SECRETS'] ?? '', /did you mean APONO_WEBHOOK_SECRET\?/);
    assert.match(warnings['OUTBOX_MAXBYTES'] ?? '', /did you mean OUTBOX_MAX_BYTES\?/);
    assert.match(warnings['LOGS_INGESTION_STREAMS'] ?? '', /did you mean LOGS_INGESTION_STREAM\?/);
    assert.match(warnings['LOG_ANALYTICS_WORKSPACE'] ?? '', /not a variable of this service.*did you mean \w+\?/);
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
    const { streams } = configOf({ LOGS_INGESTION_STREAM: 'off' }).ingestion;
    assert.deepEqual([streams['request'], streams['audit']], [null, 'Custom-AponoAuditLogs_CL']);
    const { ingestion } = configOf({ LOGS_INGESTION_STREAM: 'Custom-Mine', LOGS_INGESTION_STREAM_AUDIT: 'off' });
    assert.deepEqual([ingestion.streams['request'], ingestion.streams['audit']], ['Custom-Mine', null]);
    assert.deepEqual(ingestion.explicitStreams, ['request', 'audit']);
  });

  it('off for every kind is a warning, since nothing would be delivered', () => {
    const off = Object.fromEntries(kinds.map(({ streamVariable }) => [streamVariable, 'off']));
    assert.match(warningsOf(off)['LOGS_INGESTION_STREAM'] ?? '', /quarantined/);
    assert.deepEqual(warningsOf({ LOGS_INGESTION_STREAM: 'off' }), {});
  });
});
