import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainUpload, type UploadContext } from '../../src/azure/fixes.ts';
import type { CredentialConfig } from '../../src/config/credential.ts';
import { outcomeOf, type UploadResult } from '../../src/delivery/outcome.ts';

const identity = {
  tenantId: '11111111-1111-4111-8111-111111111111',
  clientId: '22222222-2222-4222-8222-222222222222',
  authorityHost: 'https://login.microsoftonline.com',
  instanceDiscovery: true,
};
const secret: CredentialConfig = { ...identity, type: 'secret', clientSecret: 'the-secret-9d2e', expiresAt: null };
const credentials: readonly CredentialConfig[] = [
  secret,
  { ...identity, type: 'certificate', certificatePath: '/run/secrets/client.pem', certificatePassword: null },
  { ...identity, type: 'workload', tokenFile: '/var/run/secrets/token' },
  { type: 'managed', clientId: null },
  { type: 'managed', clientId: identity.clientId },
];
const context: UploadContext = {
  stream: 'Custom-AponoAuditLogs_CL',
  streamVariable: 'LOGS_INGESTION_STREAM_AUDIT',
  ruleId: 'dcr-0123456789abcdef0123456789abcdef',
  ruleResourceId: null,
  endpoint: 'https://dcr-x.westeurope-1.ingest.monitor.azure.com',
  credential: secret,
};

type Answered = Extract<UploadResult, { type: 'answered' }>;

function answered(status: number, code: string | null = null, more: Partial<Answered> = {}): UploadResult {
  const clientRequestId = 'the-request-id';
  return {
    type: 'answered',
    status,
    by: 'azure',
    proxy: null,
    code,
    message: null,
    retryAfter: null,
    clientRequestId,
    ...more,
  };
}

/** With what the answer leads to. */
function explain(result: UploadResult, given = context): ReturnType<typeof explainUpload> {
  return explainUpload(result, given, outcomeOf(result, 0));
}

function unanswered(message: string): UploadResult {
  return { type: 'unanswered', reason: 'network', message, clientRequestId: 'the-request-id' };
}

function noToken(refused: boolean, aadsts: string | null, message = 'HTTP 401', said = 'said so'): UploadResult {
  const code = refused ? 'token_refused' : 'token_unreachable';
  return { type: 'no_token', failure: { code, aadsts, message, said, isForeign: false } };
}

test('each failure names what to change', () => {
  const cases: readonly (readonly [UploadResult, readonly RegExp[]])[] = [
    [answered(400, 'InvalidStream'), [/LOGS_INGESTION_STREAM_AUDIT/, /streamDeclarations/, /Custom-AponoAuditLogs_CL/]],
    [answered(400, 'Other'), [/DATA_COLLECTION_RULE_RESOURCE_ID/, /DCRLogErrors/]],
    [answered(401), [/AZURE_CLOUD/, /AZURE_TENANT_ID/, /clock/]],
    [answered(403, 'OperationFailed'), [/Monitoring Metrics Publisher/, /Access control/, /30 minutes/, /22222222/]],
    [answered(404, 'NotFound'), [/DATA_COLLECTION_RULE_ID/, /immutableId/, /LOGS_INGESTION_ENDPOINT/]],
    [answered(307), [/Redirects/, /LOGS_INGESTION_ENDPOINT/]],
    [answered(407, null, { by: 'proxy', proxy: '10.0.0.1:3128' }), [/user and password into HTTPS_PROXY/]],
    [answered(407, null, { by: 'page' }), [/user and password into HTTPS_PROXY/]],
    [answered(403, null, { by: 'proxy' }), [/HTTPS_PROXY/, /CONNECT/, /NO_PROXY/]],
    [answered(200, null, { by: 'page' }), [/firewall/, /NO_PROXY/, /ingest\.monitor\.azure\.com/]],
    [answered(503, null, { by: 'page', proxy: '10.0.0.1:3128' }), [/10\.0\.0\.1:3128/]],
    [noToken(true, 'AADSTS7000215'), [/AZURE_CLIENT_SECRET is wrong/, /"Value"/]],
    [noToken(true, 'AADSTS7000222'), [/AZURE_CLIENT_SECRET has expired/]],
    [noToken(true, 'AADSTS700016'), [/AZURE_CLIENT_ID/, /AZURE_TENANT_ID/]],
    [noToken(true, 'AADSTS90002'), [/AZURE_TENANT_ID/]],
    [
      noToken(
        true,
        'AADSTS700027',
        'HTTP 401',
        'AADSTS700027: … [Reason - The key was not found., Thumbprint of key …',
      ),
      [/not registered on the application/, /AZURE_CLIENT_CERTIFICATE_PATH/],
    ],
    [
      noToken(
        true,
        'AADSTS700027',
        'HTTP 401',
        "AADSTS700027: … [Reason - The key used is expired., Found key 'Start=…'",
      ),
      [/AZURE_CLIENT_CERTIFICATE_PATH has expired/, /upload it to the app registration/],
    ],
    [
      noToken(
        true,
        'AADSTS500011',
        'HTTP 400',
        'AADSTS500011: The resource principal named https://management.azure.com was not found in the tenant named X.',
      ),
      [/^https:\/\/management\.azure\.com is not known in this tenant/, /AZURE_CLOUD/],
    ],
    [noToken(true, 'AADSTS500011'), [/^The audience is not known/]],
    [noToken(true, 'AADSTS70021'), [/Federated credentials/, /AZURE_FEDERATED_TOKEN_FILE/]],
    [noToken(true, 'AADSTS700213'), [/subject/, /Federated credentials/]],
    [noToken(true, 'AADSTS123456'), [/error\?code=123456/]],
    [noToken(true, null), [/AZURE_CLIENT_SECRET/]],
    [
      noToken(false, null, 'login.microsoftonline.com: ENOTFOUND: getaddrinfo'),
      [/does not resolve/, /AZURE_AUTHORITY_HOST/],
    ],
    [noToken(false, 'AADSTS90033', 'x answered HTTP 503'), [/tried again/]],
    [noToken(false, null, 'x answered HTTP 403 without a token'), [/proxy or firewall/, /HTTPS_PROXY/]],
    [unanswered('SELF_SIGNED_CERT_IN_CHAIN: self-signed certificate in certificate chain'), [/NODE_EXTRA_CA_CERTS/]],
    [unanswered('UNABLE_TO_VERIFY_LEAF_SIGNATURE: unable to verify the first certificate'), [/NODE_EXTRA_CA_CERTS/]],
    [unanswered('ERR_TLS_CERT_ALTNAME_INVALID: Hostname'), [/another name/]],
    [unanswered('CERT_HAS_EXPIRED: certificate has expired'), [/clock/]],
    [unanswered('ENOTFOUND: getaddrinfo ENOTFOUND x'), [/DNS/, /LOGS_INGESTION_ENDPOINT/]],
    [unanswered('ECONNREFUSED: connect'), [/HTTPS_PROXY/, /443/]],
    [{ type: 'unanswered', reason: 'timeout', message: 'No answer within 30 s.', clientRequestId: '' }, [/firewall/]],
  ];
  for (const [result, patterns] of cases) {
    const { reason, fix } = explain(result);
    assert.notEqual(reason, '');
    for (const pattern of patterns) assert.match(fix, pattern, JSON.stringify(result));
  }
});

test('a command in a fix can be run as it stands; without the id of the rule, or of the identity, there is none', () => {
  const ruleResourceId =
    '/subscriptions/3f/resourceGroups/rg-(1)/providers/Microsoft.Insights/dataCollectionRules/d.c-r';
  const message = `Access: False, DcrArmId: ${ruleResourceId}, Message: none`;
  const said = answered(403, 'OperationFailed', { message });
  for (const { fix } of [explain(said), explain(answered(403), { ...context, ruleResourceId })]) {
    assert.ok(fix.includes(`--assignee ${identity.clientId} --scope "${ruleResourceId}"\``), fix);
  }
  const managed = { type: 'managed', clientId: null } as const;
  const other = answered(403, 'OperationFailed', { message: 'DcrArmId: /subscriptions/$(reboot)' });
  for (const { fix } of [explain(answered(403)), explain(other), explain(said, { ...context, credential: managed })]) {
    assert.match(fix, /the role "Monitoring Metrics Publisher" on the data collection rule dcr-/);
    assert.doesNotMatch(fix, /az role|<|reboot/);
  }
});

test('a managed identity is not told of variables that it does not use', () => {
  for (const clientId of [null, identity.clientId]) {
    const credential: CredentialConfig = { type: 'managed', clientId };
    for (const result of [
      answered(401),
      answered(403),
      noToken(true, null),
      noToken(false, null, '169.254.169.254: EHOSTUNREACH'),
    ]) {
      const { fix } = explain(result, { ...context, credential });
      assert.doesNotMatch(fix, /undefined|null/);
      const isUnreachable = result.type === 'no_token' && result.failure.code === 'token_unreachable';
      if (!isUnreachable) assert.doesNotMatch(fix, /AZURE_CLIENT_SECRET|AZURE_TENANT_ID/);
    }
  }
});

test('a managed identity endpoint that answers is waited for; only one that does not may mean that there is none', () => {
  const credential: CredentialConfig = { type: 'managed', clientId: null };
  const fixOf = (reason: string, refused = false) =>
    explain(noToken(refused, null, reason), { ...context, credential }).fix;
  const passing: readonly (readonly [number, RegExp])[] = [
    [404, /being updated/],
    [410, /upgraded, which takes up to 70 seconds/],
    [429, /asked too often/],
    [500, /Azure Service Health/],
    [503, /Azure Service Health/],
  ];
  for (const [status, pattern] of passing) {
    const fix = fixOf(`169.254.169.254 answered HTTP ${status} x`);
    assert.match(fix, pattern);
    assert.match(fix, /^Nothing, it is tried again/);
    assert.doesNotMatch(fix, /AZURE_CLIENT_SECRET|does not answer/);
  }
  assert.match(fixOf('169.254.169.254: EHOSTUNREACH: connect'), /Outside Azure there is none: set AZURE_TENANT_ID/);
  assert.match(fixOf('No token for x: No answer within 10 s.'), /Outside Azure there is none/);
  const named = fixOf('127.0.0.1:41001: ECONNREFUSED: connect');
  assert.match(named, /IDENTITY_ENDPOINT.*unset these variables/);
  assert.match(fixOf('127.0.0.1:40342: ECONNREFUSED: connect'), /Azure Arc.*group himds.*container/);
  assert.match(fixOf('Azure Arc at 127.0.0.1:40342 asks for the key in x', true), /group himds.*container/);
});

test('the request id stands in the reason, success needs no fix, and no text holds the secret', () => {
  assert.match(explain(answered(403)).reason, /the-request-id/);
  assert.equal(explain(answered(204)).fix, '');
  for (const credential of credentials) {
    for (let status = 200; status < 600; status += 1) {
      const text = JSON.stringify(explain(answered(status), { ...context, credential }));
      assert.doesNotMatch(text, /the-secret-9d2e|undefined/);
      if (status >= 300) assert.doesNotMatch(text, /"fix":""/, `${status} has a fix`);
    }
    const text = JSON.stringify(explain(noToken(true, null), { ...context, credential }));
    assert.doesNotMatch(text, /the-secret-9d2e|undefined/);
  }
});
