import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { generate } from 'selfsigned';
import { configOf, problemsOf, warningsOf } from './support.ts';

const tenant = '72f988bf-86f1-41af-91ab-2d7cd011db47';
const client = '0b1f6471-1bf0-4dda-aec3-111122223333';

describe('LOGS_INGESTION_ENDPOINT', () => {
  const name = 'LOGS_INGESTION_ENDPOINT';

  for (const [given, kept] of [
    ['https://a.b-1.ingest.monitor.azure.com/', 'https://a.b-1.ingest.monitor.azure.com'],
    ['https://A.B-1.Ingest.Monitor.Azure.Com', 'https://a.b-1.ingest.monitor.azure.com'],
    ['https://a.b-1.ingest.monitor.azure.com:443', 'https://a.b-1.ingest.monitor.azure.com'],
    ['https://localhost:8443/', 'https://localhost:8443'],
    ['https://127.0.0.1:8443', 'https://127.0.0.1:8443'],
    ['https://[::1]:8443', 'https://[::1]:8443'],
  ] as const) {
    it(`takes ${given}`, () => assert.equal(configOf({ [name]: given }).ingestion.endpoint, kept));
  }

  for (const [given, why] of [
    ['http://a.b-1.ingest.monitor.azure.com', /https/],
    ['http://localhost:8080', /https/],
    ['a.b-1.ingest.monitor.azure.com', /is no URL/],
    ['https:a.b-1.ingest.monitor.azure.com', /is no URL/],
    ['https://a.b-1.ingest.monitor.azure.com/dataCollectionRules/dcr-1', /behind the host/],
    ['https://a.b-1.ingest.monitor.azure.com/?', /behind the host/],
    ['https://a.b-1.ingest.monitor.azure.com/#', /behind the host/],
    ['https://a.b-1.ingest.monitor.azure.com ', /is no URL/],
    ['https://a.b-1.ingest.monitor.azure.com:8443', /port 8443/],
    ['https://evil.example', /no ingestion endpoint/],
    ['https://ingest.monitor.azure.com', /no ingestion endpoint/],
    ['https://.ingest.monitor.azure.com', /no ingestion endpoint|is no URL/],
    ['https://a.ingest.monitor.azure.com.evil.example', /no ingestion endpoint/],
    ['https://evil-ingest.monitor.azure.com', /no ingestion endpoint/],
    ['https://127.0.0.1.evil.example', /no ingestion endpoint/],
    ['https://localhost.evil.example', /no ingestion endpoint/],
    ['https://a.ingest.monitor.azure.us', /no ingestion endpoint/],
    ['https://user:pw@a.ingest.monitor.azure.com', /user name or password/],
    ['https://a.ingest.monitor.azure.com@evil.example', /user name or password/],
  ] as const) {
    it(`refuses ${given}`, () => assert.match(problemsOf({ [name]: given })[name] ?? '', why));
  }

  it('must be of the cloud that is set', () => {
    const gov = configOf({ AZURE_CLOUD: 'usgov', [name]: 'https://a.ingest.monitor.azure.us' });
    assert.equal(gov.ingestion.endpoint, 'https://a.ingest.monitor.azure.us');
    assert.equal(gov.cloud.ingestionAudience, 'https://monitor.azure.us');
    assert.equal(gov.resourceManager, 'https://management.usgovcloudapi.net');
    assert.match(problemsOf({ AZURE_CLOUD: 'china' })[name] ?? '', /ingest\.monitor\.azure\.cn/);
  });

  it('is not blamed when it is the cloud that is misspelt', () => {
    assert.deepEqual(Object.keys(problemsOf({ AZURE_CLOUD: 'pubic' })), ['AZURE_CLOUD']);
  });
});

describe('ids', () => {
  it('of the rule are dcr- and 32 hexadecimal digits', () => {
    for (const wrong of ['dcr-123', 'dcr-0123456789abcdef0123456789abcdeg', '0123456789abcdef0123456789abcdef', 'x']) {
      assert.ok('DATA_COLLECTION_RULE_ID' in problemsOf({ DATA_COLLECTION_RULE_ID: wrong }), wrong);
    }
    const resourceId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/dataCollectionRules/r';
    const message = problemsOf({ DATA_COLLECTION_RULE_ID: resourceId })['DATA_COLLECTION_RULE_ID'] ?? '';
    assert.match(message, /belongs in DATA_COLLECTION_RULE_RESOURCE_ID/);
  });

  it('of Resource Manager have the form of their type, in any case of letters', () => {
    const name = 'DATA_COLLECTION_RULE_RESOURCE_ID';
    const id = `/subscriptions/${client}/resourcegroups/rg-1/providers/microsoft.insights/datacollectionrules/apono`;
    assert.equal(configOf({ [name]: id }).ingestion.ruleResourceId, id);
    for (const wrong of [
      'apono',
      id.slice(1),
      `${id}/extra`,
      id.replace('datacollectionrules', 'datacollectionendpoints'),
      `/subscriptions/<id>/resourceGroups/<name>/providers/Microsoft.Insights/dataCollectionRules/<name>`,
    ]) {
      assert.match(problemsOf({ [name]: wrong })[name] ?? '', /is no resource id/, wrong);
    }
  });

  it('of streams begin with Custom-', () => {
    for (const wrong of ['AponoAccessRequests_CL', 'Custom-', 'Custom-a/b', 'Custom-a b', 'custom-x']) {
      assert.match(
        problemsOf({ LOGS_INGESTION_STREAM: wrong })['LOGS_INGESTION_STREAM'] ?? '',
        /no stream name/,
        wrong,
      );
    }
  });
});

describe('the credential', () => {
  const application = { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client };
  const authority = { authorityHost: 'https://login.microsoftonline.com', instanceDiscovery: true };
  let folder = '';
  let certificate = '';
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'apono-config-'));
    certificate = join(folder, 'certificate.pem');
    const pair = await generate([{ name: 'commonName', value: 'apono-sentinel' }], { keySize: 2048 });
    writeFileSync(certificate, `${pair.cert}\n${pair.private}`);
  });
  after(() => rmSync(folder, { recursive: true }));

  it('is a client secret when one is set, whatever else is', () => {
    const all = { ...application, AZURE_CLIENT_SECRET: 'x', AZURE_CLIENT_CERTIFICATE_PATH: certificate };
    assert.deepEqual(configOf(all).credential, {
      type: 'secret',
      tenantId: tenant,
      clientId: client,
      clientSecret: 'x',
      expiresAt: null,
      ...authority,
    });
    assert.match(warningsOf(all)['AZURE_CLIENT_CERTIFICATE_PATH'] ?? '', /no effect, because AZURE_CLIENT_SECRET/);
  });

  it('is a certificate, then a workload identity', () => {
    const both = {
      ...application,
      AZURE_CLIENT_CERTIFICATE_PATH: certificate,
      AZURE_FEDERATED_TOKEN_FILE: certificate,
    };
    const common = { tenantId: tenant, clientId: client, ...authority };
    assert.deepEqual(configOf(both).credential, {
      type: 'certificate',
      certificatePath: certificate,
      certificatePassword: null,
      ...common,
    });
    const workload = { ...both, AZURE_CLIENT_CERTIFICATE_PATH: '' };
    assert.deepEqual(configOf(workload).credential, { type: 'workload', tokenFile: certificate, ...common });
  });

  it('is a managed identity when none of them is set, the user-assigned one when a client id is', () => {
    assert.deepEqual(configOf().credential, { type: 'managed', clientId: null });
    assert.deepEqual(configOf({ AZURE_CLIENT_ID: client }).credential, { type: 'managed', clientId: client });
  });

  it('is not guessed from half a set', () => {
    assert.deepEqual(Object.keys(problemsOf({ AZURE_CLIENT_SECRET: 'x' })), ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID']);
    assert.deepEqual(Object.keys(problemsOf({ ...application, AZURE_CLIENT_ID: '', AZURE_CLIENT_SECRET: 'x' })), [
      'AZURE_CLIENT_ID',
    ]);
    assert.match(problemsOf(application)['AZURE_TENANT_ID'] ?? '', /none of AZURE_CLIENT_SECRET/);
    const unreadable = problemsOf({ ...application, AZURE_CLIENT_SECRET_FILE: join(folder, 'none') });
    assert.deepEqual(Object.keys(unreadable), ['AZURE_CLIENT_SECRET']);
  });

  it('needs its certificate now, and its federated token only later', () => {
    const path = join(folder, 'none.pem');
    const missing = problemsOf({ ...application, AZURE_CLIENT_CERTIFICATE_PATH: path });
    assert.match(missing['AZURE_CLIENT_CERTIFICATE_PATH'] ?? '', /cannot be read \(ENOENT\)/);
    const warnings = warningsOf({ ...application, AZURE_FEDERATED_TOKEN_FILE: path });
    assert.match(warnings['AZURE_FEDERATED_TOKEN_FILE'] ?? '', /cannot be read \(ENOENT\)/);
  });

  it('signs in at another authority without instance discovery', () => {
    const set = { ...application, AZURE_CLIENT_SECRET: 'x' };
    const own = configOf({ ...set, AZURE_AUTHORITY_HOST: 'https://localhost:4443/' }).credential;
    assert.ok(own.type === 'secret' && !own.instanceDiscovery && own.authorityHost === 'https://localhost:4443');
    const known = configOf({ ...set, AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us/' }).credential;
    assert.ok(known.type === 'secret' && known.instanceDiscovery);
    assert.match(
      problemsOf({ ...set, AZURE_AUTHORITY_HOST: 'http://localhost' })['AZURE_AUTHORITY_HOST'] ?? '',
      /https/,
    );
  });

  it('takes what the cloud says for its authority', () => {
    const china = configOf({
      ...application,
      AZURE_CLIENT_SECRET: 'x',
      AZURE_CLOUD: 'China',
      LOGS_INGESTION_ENDPOINT: 'https://a.ingest.monitor.azure.cn',
    });
    const { credential } = china;
    assert.ok(credential.type === 'secret' && credential.authorityHost === 'https://login.chinacloudapi.cn');
  });

  it('refuses what no tenant can be called', () => {
    const set = { AZURE_CLIENT_ID: client, AZURE_CLIENT_SECRET: 'x' };
    for (const wrong of ['common', 'a/b', 'x y']) {
      assert.deepEqual(Object.keys(problemsOf({ ...set, AZURE_TENANT_ID: wrong })), ['AZURE_TENANT_ID'], wrong);
    }
    assert.equal(configOf({ ...set, AZURE_TENANT_ID: 'contoso.onmicrosoft.com' }).credential.type, 'secret');
  });
});
