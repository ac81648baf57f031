import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { type VariableName, variableNames, variables } from '../../src/config/variables.ts';
import { heartbeatDefaultStream } from '../../src/heartbeat/row.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { type Edge, startEdge } from '../http/edge.ts';
import { blocks } from '../support/documented-commands.ts';
import { type ArmTemplate, type Deployment, deploy, type Fields, type Surroundings } from './arm/deploy.ts';
import { GROUP, TENANT, type Value } from './arm/functions.ts';
import { parseTemplateString } from './arm/parse.ts';
import { IMMUTABLE_ID, ofType, only, PRINCIPAL, propertiesOf, readJson, repository } from './support.ts';

const template = readJson<ArmTemplate>('container-app.json');
const page = readFileSync(`${repository}docs/container-apps.md`, 'utf8');

const SECRET = 'a-webhook-secret-for-this-test';
const PREVIOUS = 'the-webhook-secret-from-before';
const CLIENT = '00000000-0000-4000-8000-00000000000e';
const OTHER_GROUP = '/subscriptions/00000000-0000-4000-8000-0000000000ff/resourceGroups/sentinel';
const RULE = `${OTHER_GROUP}/providers/Microsoft.Insights/dataCollectionRules/apono-sentinel`;
const REGISTRY = `${OTHER_GROUP}/providers/Microsoft.ContainerRegistry/registries/images`;
const WORKSPACE = `${OTHER_GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs`;
const ENVIRONMENT = `${OTHER_GROUP}/providers/Microsoft.App/managedEnvironments/shared`;
const NETWORK = `${OTHER_GROUP}/providers/Microsoft.Network`;
const IDENTITY = `${GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/apono-sentinel`;

const types = {
  app: 'Microsoft.App/containerApps',
  environment: 'Microsoft.App/managedEnvironments',
  identity: 'Microsoft.ManagedIdentity/userAssignedIdentities',
  server: 'Microsoft.DBforPostgreSQL/flexibleServers',
  database: 'Microsoft.DBforPostgreSQL/flexibleServers/databases',
  firewall: 'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules',
  administrator: 'Microsoft.DBforPostgreSQL/flexibleServers/administrators',
  role: 'Microsoft.Authorization/roleAssignments',
  diagnostics: 'Microsoft.Insights/diagnosticSettings',
} as const;

/** What Azure says of the rule and the registry, which are there before, and of what the template makes. */
const state: Readonly<Record<string, Value>> = {
  [RULE]: {
    immutableId: IMMUTABLE_ID,
    endpoints: { logsIngestion: 'https://apono-sentinel-x1y2.westeurope-1.ingest.monitor.azure.com' },
  },
  [REGISTRY]: { loginServer: 'images.azurecr.io' },
  [IDENTITY]: { clientId: CLIENT, principalId: PRINCIPAL },
  [`${GROUP}/providers/${types.server}/outbox-server`]: {
    fullyQualifiedDomainName: 'outbox-server.postgres.database.azure.com',
  },
  [`${GROUP}/providers/${types.app}/apono-sentinel`]: {
    configuration: { ingress: { fqdn: 'apono-sentinel.nicehill-1234.westeurope.azurecontainerapps.io' } },
  },
};

const required: Fields = {
  image: 'images.azurecr.io/apono-sentinel:0.1.0',
  webhookSecret: SECRET,
  dataCollectionRuleResourceId: RULE,
  postgresServerName: 'outbox-server',
};

const deployed = (parameters: Fields = {}, surroundings: Surroundings = {}): Deployment =>
  deploy(template, { ...required, ...parameters }, { state, ...surroundings });

interface App {
  readonly environmentId: string;
  readonly configuration: {
    readonly activeRevisionsMode: string;
    readonly ingress: Fields;
    readonly registries: readonly Fields[];
    readonly secrets: readonly { readonly name: string; readonly value: string }[];
  };
  readonly template: {
    readonly terminationGracePeriodSeconds: number;
    readonly containers: readonly {
      readonly image: string;
      readonly resources: Fields;
      readonly env: readonly { readonly name: string; readonly value: string }[];
      readonly probes: readonly {
        readonly type: string;
        readonly httpGet: { readonly path: string; readonly port: number };
      }[];
      readonly volumeMounts: readonly { readonly volumeName: string; readonly mountPath: string }[];
    }[];
    readonly volumes: readonly {
      readonly name: string;
      readonly storageType: string;
      readonly secrets: readonly { readonly secretRef: string; readonly path: string }[];
    }[];
    readonly scale: { readonly minReplicas: number; readonly maxReplicas: number; readonly rules: readonly Value[] };
  };
}

const appOf = (deployment: Deployment): App => propertiesOf<App>(only(deployment, types.app));

function containerOf(app: App): App['template']['containers'][number] {
  const [container, ...more] = app.template.containers;
  assert.ok(container !== undefined && more.length === 0);
  return container;
}

/** The files that the platform mounts, by path, as what the app says makes them. */
function mountedFiles(app: App): ReadonlyMap<string, string> {
  const secrets = new Map(app.configuration.secrets.map(({ name, value }) => [name, value]));
  const mounts = new Map(containerOf(app).volumeMounts.map(({ volumeName, mountPath }) => [volumeName, mountPath]));
  return new Map(
    app.template.volumes.flatMap(({ name, storageType, secrets: items }) => {
      assert.equal(storageType, 'Secret');
      return items.map(({ secretRef, path: file }) => {
        const value = secrets.get(secretRef);
        assert.ok(value !== undefined, `there is a secret ${secretRef}`);
        return [`${mounts.get(name)}/${file}`, value] as const;
      });
    }),
  );
}

function stringsIn(value: Value): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((item: Value) => stringsIn(item));
}

const everything: Fields = {
  containerRegistryResourceId: REGISTRY,
  previousWebhookSecret: PREVIOUS,
  assignMonitoringReader: true,
  logWorkspaceResourceId: WORKSPACE,
  infrastructureSubnetResourceId: `${NETWORK}/virtualNetworks/net/subnets/apps`,
  postgresSubnetResourceId: `${NETWORK}/virtualNetworks/net/subnets/database`,
  postgresPrivateDnsZoneResourceId: `${NETWORK}/privateDnsZones/outbox.private.postgres.database.azure.com`,
  databaseAdministratorObjectId: '00000000-0000-4000-8000-0000000000aa',
  databaseAdministratorName: 'dba@example.com',
  databaseAdministratorType: 'User',
};

describe('deploy/container-app.json', () => {
  it('has the shape of a template for a resource group, with described parameters', () => {
    assert.equal(template.$schema, 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#');
    for (const [name, { metadata }] of Object.entries(template.parameters)) {
      assert.match(metadata.description, /^[A-Z].*\.$/s, name);
    }
    // Throws for one that cannot be read.
    for (const text of stringsIn(template as unknown as Value)) parseTemplateString(text);
  });

  it('can be deployed with an image, a secret and a rule, and in no way without one of them', () => {
    assert.equal(ofType(deployed(), types.app).length, 1);
    for (const name of ['image', 'webhookSecret', 'dataCollectionRuleResourceId']) {
      const { [name]: _left, ...rest } = required;
      assert.throws(() => deploy(template, rest, { state }), new RegExp(name));
    }
    assert.throws(() => deployed({ webhookSecret: 'fifteen-letters' }), /too short/);
  });

  it('uses all of its parameters and variables', () => {
    const used = new Set([...deployed().used, ...deployed(everything).used]);
    assert.deepEqual([...used].sort(), Object.keys(template.parameters).sort());
    const text = JSON.stringify(template);
    for (const name of Object.keys(template.variables ?? {})) assert.ok(text.includes(`variables('${name}')`), name);
  });

  it('makes each resource once', () => {
    const ids = deployed(everything).resources.map(({ id }) => id.toLowerCase());
    assert.equal(new Set(ids).size, ids.length);
  });

  it('names a server that has no name after the resource group', () => {
    const { postgresServerName: _left, ...rest } = required;
    const id = /reference to .*\/flexibleServers\/(apono-sentinel-[0-9a-f]{13}),/;
    assert.throws(() => deploy(template, rest, { state }), id);
  });
});

describe('secrets of deploy/container-app.json', () => {
  it('come in secure parameters alone', () => {
    const secure = Object.entries(template.parameters).filter(([, { type }]) => type === 'secureString');
    assert.deepEqual(
      secure.map(([name]) => name),
      ['webhookSecret', 'previousWebhookSecret'],
    );
    const plain = Object.keys(template.parameters).filter((name) => /secret|password|token|key/i.test(name));
    assert.deepEqual(plain, ['webhookSecret', 'previousWebhookSecret']);
  });

  it('stand in the secrets of the app and nowhere else: no variable, no output, no nested deployment', () => {
    const deployment = deployed(everything);
    const { secrets } = appOf(deployment).configuration;
    assert.deepEqual(
      secrets.map(({ value }) => value),
      [SECRET, PREVIOUS],
    );
    const all = stringsIn([deployment.resources, deployment.outputs] as unknown as Value);
    for (const secret of [SECRET, PREVIOUS]) assert.equal(all.filter((text) => text.includes(secret)).length, 1);
    assert.equal(JSON.stringify(deployment.outputs).includes(SECRET), false);
  });

  it('are read by no function: no list…() of a key, no password of the database', () => {
    for (const text of stringsIn(template as unknown as Value)) {
      if (parseTemplateString(text) !== null) assert.doesNotMatch(text, /\blist\w*\(/i);
    }
    const { authConfig, administratorLogin, administratorLoginPassword } = propertiesOf<Fields>(
      only(deployed(), types.server),
    );
    assert.deepEqual(authConfig, { activeDirectoryAuth: 'Enabled', passwordAuth: 'Disabled', tenantId: TENANT });
    assert.deepEqual([administratorLogin, administratorLoginPassword], [undefined, undefined]);
  });
});

describe('the environment of the container', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'container-app-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** What the service would make of it, with the mounted files in a folder of this machine. */
  function load(deployment: Deployment) {
    const app = appOf(deployment);
    const env = Object.fromEntries(containerOf(app).env.map(({ name, value }) => [name, value]));
    for (const [file, value] of mountedFiles(app)) {
      const here = path.join(folder, path.basename(file));
      writeFileSync(here, value);
      for (const [name, path_] of Object.entries(env)) if (path_ === file) env[name] = here;
    }
    return loadConfig(env);
  }

  it('has known variables alone, each once, and no secret in plain', () => {
    const known: readonly string[] = variableNames;
    // Node itself reads that one.
    const names = containerOf(appOf(deployed(everything)))
      .env.map(({ name }) => name)
      .filter((name) => name !== 'NODE_EXTRA_CA_CERTS');
    assert.equal(new Set(names).size, names.length);
    for (const name of names) {
      const variable = known.includes(name) ? name : name.replace(/_FILE$/, '');
      assert.ok(known.includes(variable), name);
      // OUTBOX_URL is one only where it has a password.
      const isSecret = variables[variable as VariableName].secret && variable !== 'OUTBOX_URL';
      assert.equal(isSecret, variable !== name, name);
    }
  });

  it('is a configuration that the service takes without a warning', () => {
    const { config, problems, warnings } = load(deployed());
    assert.deepEqual([problems, warnings], [[], []]);
    assert.ok(config !== null);
    assert.deepEqual([config.webhook.secret, config.webhook.previousSecret], [SECRET, null]);
    assert.deepEqual(config.credential, { type: 'managed', clientId: CLIENT });
    assert.equal(config.ingestion.ruleId, IMMUTABLE_ID);
    assert.equal(config.ingestion.ruleResourceId, RULE);
    assert.equal(config.ingestion.endpoint, 'https://apono-sentinel-x1y2.westeurope-1.ingest.monitor.azure.com');
    assert.deepEqual(
      config.ingestion.streams,
      Object.fromEntries(kinds.map(({ name, defaultStream }) => [name, defaultStream])),
    );
    assert.deepEqual([config.heartbeat?.stream, config.heartbeat?.intervalMs], [heartbeatDefaultStream, 15 * 60_000]);
    assert.deepEqual([config.webhook.host, config.webhook.port, config.webhook.trustProxy], ['0.0.0.0', 8080, 1]);
    assert.deepEqual([config.admin.host, config.admin.token], ['127.0.0.1', null]);
  });

  it('signs in to the database as the identity, with a token and over verified TLS', () => {
    const { config } = load(
      deployed(
        { identityName: 'Outbox_user-1', postgresDatabaseName: 'events' },
        {
          state: { ...state, [IDENTITY.replace('apono-sentinel', 'Outbox_user-1')]: state[IDENTITY] ?? null },
        },
      ),
    );
    const { host, port, database, user, password, entra, tls } = config?.outbox.database ?? {};
    assert.deepEqual(
      { host, port, database, user, password, entra, tls },
      {
        host: 'outbox-server.postgres.database.azure.com',
        port: 5432,
        database: 'events',
        user: 'Outbox_user-1',
        password: null,
        entra: true,
        tls: 'verified',
      },
    );
  });

  it('takes the previous secret too, where there is one', () => {
    const { config, problems } = load(deployed(everything));
    assert.deepEqual(problems, []);
    assert.deepEqual([config?.webhook.secret, config?.webhook.previousSecret], [SECRET, PREVIOUS]);
  });

  it('mounts the certificates that are given as the file that NODE_EXTRA_CA_CERTS names, and none otherwise', () => {
    const nameOf = (app: App) => containerOf(app).env.find(({ name }) => name === 'NODE_EXTRA_CA_CERTS')?.value;
    const extraCaCertificates = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';
    for (const previousWebhookSecret of ['', PREVIOUS]) {
      const app = appOf(deployed({ extraCaCertificates, previousWebhookSecret }));
      assert.equal(mountedFiles(app).get(nameOf(app) ?? ''), extraCaCertificates);
      assert.equal(mountedFiles(app).size, previousWebhookSecret === '' ? 2 : 3);
    }
    assert.equal(nameOf(appOf(deployed())), '');
    assert.equal(mountedFiles(appOf(deployed())).size, 1);
  });

  it('names the streams, the endpoint, the limit and the level that the parameters give', () => {
    const { config, problems } = load(
      deployed({
        logsIngestionEndpoint: 'https://private-a1b2.westeurope-1.ingest.monitor.azure.com',
        logsIngestionStream: 'Custom-A_CL',
        logsIngestionStreamAudit: 'Custom-B_CL',
        logsIngestionStreamAnomaly: 'Custom-C_CL',
        logsIngestionStreamIntegration: 'off',
        logsIngestionStreamHeartbeat: 'Custom-D_CL',
        heartbeatIntervalMinutes: 5,
        outboxMaxBytes: 8_589_934_592,
        logLevel: 'debug',
      }),
    );
    assert.deepEqual(problems, []);
    assert.equal(config?.ingestion.endpoint, 'https://private-a1b2.westeurope-1.ingest.monitor.azure.com');
    const defaults = Object.fromEntries(kinds.map(({ name, defaultStream }) => [name, defaultStream]));
    assert.deepEqual(config?.ingestion.streams, {
      ...defaults,
      request: 'Custom-A_CL',
      audit: 'Custom-B_CL',
      anomaly: 'Custom-C_CL',
      integration: null,
    });
    assert.deepEqual([config?.heartbeat?.stream, config?.heartbeat?.intervalMs], ['Custom-D_CL', 300_000]);
    assert.deepEqual([config?.outbox.maxBytes, config?.logLevel], [8_589_934_592, 'debug']);
  });

  it('names the cloud that was deployed to', () => {
    for (const [cloud, name] of [
      ['AzureUSGovernment', 'usgov'],
      ['AzureChinaCloud', 'china'],
      ['AzureCloud', 'public'],
    ] as const) {
      const { env } = containerOf(appOf(deployed({}, { cloud })));
      assert.equal(env.find((variable) => variable.name === 'AZURE_CLOUD')?.value, name);
    }
  });

  it('has time to stop in', () => {
    const deployment = deployed();
    const limit = load(deployment).config?.shutdownTimeoutMs ?? Number.NaN;
    assert.ok(appOf(deployment).template.terminationGracePeriodSeconds * 1000 > limit);
  });
});

describe('the app', () => {
  let edge: Edge;
  before(async () => {
    edge = await startEdge();
  });
  after(() => edge.server.stop(0));

  it('is reached over HTTPS alone, and its ingress passes to the port on which webhooks are received', () => {
    const { configuration } = appOf(deployed());
    const { external, targetPort, transport, allowInsecure } = configuration.ingress;
    assert.deepEqual([external, targetPort, transport, allowInsecure], [true, 8080, 'http', false]);
    assert.equal(configuration.activeRevisionsMode, 'Single');
    assert.equal(appOf(deployed({ externalIngress: false })).configuration.ingress['external'], false);
  });

  it('is probed at paths that the service answers: restarted when it hangs, passed by when it takes nothing', async () => {
    const { probes } = containerOf(appOf(deployed()));
    assert.deepEqual(
      probes.map(({ type, httpGet }) => [type, httpGet.path, httpGet.port]),
      [
        ['Startup', '/livez', 8080],
        ['Liveness', '/livez', 8080],
        ['Readiness', '/readyz', 8080],
      ],
    );
    for (const { httpGet } of probes) {
      const answer = await fetch(`http://127.0.0.1:${edge.port}${httpGet.path}`);
      assert.equal(answer.status, 200);
    }
  });

  it('never has no replica', () => {
    const { scale } = appOf(deployed({ minReplicas: 1, maxReplicas: 3, concurrentRequests: 20 })).template;
    assert.deepEqual(scale, {
      minReplicas: 1,
      maxReplicas: 3,
      rules: [{ name: 'http', http: { metadata: { concurrentRequests: '20' } } }],
    });
    assert.throws(() => deployed({ minReplicas: 0 }), /out of range/);
  });

  it('has cores as a number, and runs as the identity', () => {
    const app = only(deployed({ cpu: '0.25', memory: '0.5Gi' }), types.app);
    assert.deepEqual(containerOf(propertiesOf<App>(app)).resources, { cpu: 0.25, memory: '0.5Gi' });
    assert.deepEqual(app.body['identity'], { type: 'UserAssigned', userAssignedIdentities: { [IDENTITY]: {} } });
  });

  it('lets everybody in, or the blocks that are named', () => {
    assert.deepEqual(appOf(deployed()).configuration.ingress['ipSecurityRestrictions'], []);
    const { ingress } = appOf(deployed({ allowedCidrs: ['203.0.113.0/24', '198.51.100.7'] })).configuration;
    assert.deepEqual(ingress['ipSecurityRestrictions'], [
      { name: 'allow-203-0-113-0-24', action: 'Allow', ipAddressRange: '203.0.113.0/24' },
      { name: 'allow-198-51-100-7', action: 'Allow', ipAddressRange: '198.51.100.7' },
    ]);
  });

  it('pulls its image as the identity from a registry that is named, and without signing in from another', () => {
    assert.deepEqual(appOf(deployed()).configuration.registries, []);
    assert.deepEqual(appOf(deployed({ containerRegistryResourceId: REGISTRY })).configuration.registries, [
      { server: 'images.azurecr.io', identity: IDENTITY },
    ]);
  });

  it('can be left out, so that the database is prepared before it starts', () => {
    const deployment = deployed({ deployApp: false });
    assert.deepEqual(ofType(deployment, types.app), []);
    assert.equal(ofType(deployment, types.database).length, 1);
    assert.equal(deployment.outputs['webhookUrl'], '');
  });

  it('comes after all that it needs', () => {
    const app = template.resources.find(({ type }) => type === types.app);
    const text = JSON.stringify(app?.['dependsOn']);
    for (const name of [
      'identityId',
      'managedEnvironments',
      'serverId',
      'apono-sentinel-rule-role',
      'apono-sentinel-registry-role',
      'apono-sentinel-database-administrators',
    ]) {
      assert.ok(text.includes(name), name);
    }
  });
});

describe('the environment of the app', () => {
  it('is made, with its logs in the workspace that is named', () => {
    const deployment = deployed({ logWorkspaceResourceId: WORKSPACE });
    const environment = only(deployment, types.environment);
    assert.equal(appOf(deployment).environmentId, environment.id);
    assert.deepEqual(propertiesOf<Fields>(environment)['appLogsConfiguration'], { destination: 'azure-monitor' });
    const diagnostics = only(deployment, types.diagnostics);
    assert.ok(diagnostics.id.startsWith(`${environment.id}/providers/`));
    assert.equal(propertiesOf<Fields>(diagnostics)['workspaceId'], WORKSPACE);
  });

  it('keeps no logs without a workspace', () => {
    const deployment = deployed();
    assert.equal(propertiesOf<Fields>(only(deployment, types.environment))['appLogsConfiguration'], null);
    assert.deepEqual(ofType(deployment, types.diagnostics), []);
  });

  it('is one that is there already, which is left as it is', () => {
    const deployment = deployed({ environmentResourceId: ENVIRONMENT, logWorkspaceResourceId: WORKSPACE });
    assert.deepEqual(ofType(deployment, types.environment), []);
    assert.deepEqual(ofType(deployment, types.diagnostics), []);
    assert.equal(appOf(deployment).environmentId, ENVIRONMENT);
  });
});

describe('the roles of the identity', () => {
  const rolesOf = (deployment: Deployment) =>
    ofType(deployment, types.role).map(({ id, group, body }) => {
      const { roleDefinitionId, principalId, principalType } = body['properties'] as Readonly<Record<string, string>>;
      assert.deepEqual([principalId, principalType], [PRINCIPAL, 'ServicePrincipal']);
      return [
        roleDefinitionId?.split('/').at(-1),
        id.slice(0, id.indexOf('/providers/Microsoft.Authorization/')),
        group,
      ];
    });

  it('are Monitoring Metrics Publisher on the rule alone, assigned in the resource group of the rule', () => {
    assert.deepEqual(rolesOf(deployed()), [['3913510d-42f4-4e42-8a64-420c390055eb', RULE, OTHER_GROUP]]);
  });

  it('are also Monitoring Reader on the rule and AcrPull on the registry where that was asked for', () => {
    assert.deepEqual(rolesOf(deployed({ assignMonitoringReader: true, containerRegistryResourceId: REGISTRY })), [
      ['3913510d-42f4-4e42-8a64-420c390055eb', RULE, OTHER_GROUP],
      ['43d0d8ad-25c7-4714-9337-8ba259a9fe05', RULE, OTHER_GROUP],
      ['7f951dda-4ed3-4680-a7ca-43fe172d538d', REGISTRY, OTHER_GROUP],
    ]);
  });

  it('are left to somebody else, and the image is still pulled as the identity', () => {
    const deployment = deployed({
      assignRoles: false,
      assignMonitoringReader: true,
      containerRegistryResourceId: REGISTRY,
    });
    assert.deepEqual(rolesOf(deployment), []);
    assert.equal(appOf(deployment).configuration.registries[0]?.['identity'], IDENTITY);
  });

  it('have the names that azuredeploy.json gives them, so that the two do not assign one role twice', () => {
    const main = readJson<ArmTemplate>('azuredeploy.json');
    const rule = `${GROUP}/providers/Microsoft.Insights/dataCollectionRules/apono-sentinel`;
    const there = { ...state, [rule]: state[RULE] ?? null };
    const nameOf = (deployment: Deployment) => only(deployment, types.role).id;
    assert.equal(
      nameOf(deployed({ dataCollectionRuleResourceId: rule }, { state: there })),
      nameOf(
        deploy(main, { workspaceName: 'workspace', principalId: PRINCIPAL, managedIdentity: true }, { state: there }),
      ),
    );
  });
});

describe('the database', () => {
  const administratorsOf = (deployment: Deployment) =>
    ofType(deployment, types.administrator).map(({ name, body }) => [
      name,
      (body['properties'] as Fields)['principalName'],
      (body['properties'] as Fields)['principalType'],
    ]);

  it('is administered by the identity, so that nothing has to be done by hand', () => {
    assert.deepEqual(administratorsOf(deployed()), [
      [`outbox-server/${PRINCIPAL}`, 'apono-sentinel', 'ServicePrincipal'],
    ]);
  });

  it('is administered by a person or group beside it, or instead', () => {
    const person = [`outbox-server/${everything['databaseAdministratorObjectId']}`, 'dba@example.com', 'User'];
    assert.equal(administratorsOf(deployed(everything)).length, 2);
    assert.deepEqual(administratorsOf(deployed({ ...everything, identityIsDatabaseAdministrator: false })), [person]);
  });

  it('has a public address whose firewall lets Azure in, unless that is turned off', () => {
    const deployment = deployed();
    assert.deepEqual(propertiesOf<Fields>(only(deployment, types.server))['network'], {
      publicNetworkAccess: 'Enabled',
    });
    assert.deepEqual(propertiesOf(only(deployment, types.firewall)), {
      startIpAddress: '0.0.0.0',
      endIpAddress: '0.0.0.0',
    });
    assert.deepEqual(ofType(deployed({ allowAzureServices: false }), types.firewall), []);
  });

  it('stands in a network of yours, without a firewall, where a subnet is named', () => {
    const deployment = deployed(everything);
    assert.deepEqual(propertiesOf<Fields>(only(deployment, types.server))['network'], {
      delegatedSubnetResourceId: everything['postgresSubnetResourceId'],
      privateDnsZoneArmResourceId: everything['postgresPrivateDnsZoneResourceId'],
    });
    assert.deepEqual(ofType(deployment, types.firewall), []);
  });

  it('has storage that grows, backups, and a standby where that was asked for', () => {
    const { storage, backup, highAvailability } = propertiesOf<Fields>(
      only(
        deployed({
          postgresSkuTier: 'GeneralPurpose',
          postgresSkuName: 'Standard_D2ds_v5',
          postgresHighAvailability: 'ZoneRedundant',
          postgresStorageSizeGB: 64,
          postgresBackupRetentionDays: 30,
        }),
        types.server,
      ),
    );
    assert.deepEqual(storage, { storageSizeGB: 64, autoGrow: 'Enabled' });
    assert.deepEqual(backup, { backupRetentionDays: 30, geoRedundantBackup: 'Disabled' });
    assert.deepEqual(highAvailability, { mode: 'ZoneRedundant' });
  });

  it('takes as many connections as all replicas open while a new revision starts beside the old one', () => {
    // Nine a replica (docs/scaling.md); a Standard_B2s takes 414.
    const { maxReplicas, postgresSkuName } = template.parameters;
    assert.equal(postgresSkuName?.defaultValue, 'Standard_B2s');
    assert.ok(Number(maxReplicas?.defaultValue) * 2 * 9 < 414);
  });
});

describe('docs/container-apps.md', () => {
  it('lists no parameter that is not there, and the template describes every one', () => {
    const listed = [...page.matchAll(/^\| (`[a-z]\w*`(?:, `[a-z]\w*`)*) \|/gm)]
      .flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)`/g)])
      .map(([, name = '']) => name)
      .filter((name) => name !== 'configuration');
    assert.ok(listed.length > 5, 'the tables are read');
    assert.deepEqual(
      listed.filter((name) => !Object.hasOwn(template.parameters, name)),
      [],
    );
    const { parameters } = JSON.parse(readFileSync(`${repository}deploy/container-app.json`, 'utf8')) as {
      readonly parameters: Readonly<Record<string, { readonly metadata?: { readonly description?: string } }>>;
    };
    for (const [name, { metadata }] of Object.entries(parameters)) {
      assert.ok((metadata?.description ?? '').length > 10, name);
    }
  });

  it('gives parameters that there are, and names the outputs', () => {
    const known = Object.keys(template.parameters);
    const given = [...page.matchAll(/(?<![\w.-])([a-z]+[A-Z]\w*)=/g)].map(([, name = '']) => name);
    assert.ok(given.length >= 5, 'the page is read');
    assert.deepEqual(
      given.filter((name) => !known.includes(name)),
      [],
    );
    const outputs = deployed().outputs;
    assert.equal(
      outputs['webhookUrl'],
      'https://apono-sentinel.nicehill-1234.westeurope.azurecontainerapps.io/apono/webhook',
    );
    for (const name of Object.keys(outputs)) assert.ok(page.includes(`\`${name}\``), name);
  });

  it('gives `az containerapp exec` one word: it sends its command as one name of a program (azure-container-apps#1029)', () => {
    const commands = [...page.matchAll(/az containerapp exec .*--command (\S+)/g)].map(([, command = '']) => command);
    assert.notEqual(commands.length, 0);
    for (const command of commands) assert.match(command, /^\w+$/);
  });

  it('has shell commands that bash takes', () => {
    const scripts = blocks('docs/container-apps.md', 'sh');
    assert.ok(scripts.length >= 6, 'the blocks are found');
    const all = scripts.join('\n').replaceAll(/<[a-zA-Z][^<>\n]*>/g, 'word');
    const { status, stderr } = spawnSync('bash', ['-n', '-c', all], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });
});
