import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import { Ajv } from 'ajv';
import { generate } from 'selfsigned';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { type VariableName, variableNames, variables } from '../../src/config/variables.ts';

const root = path.join(import.meta.dirname, '../..');
const chart = path.join(root, 'deploy/helm/apono-sentinel');
const read = (file: string): string => readFileSync(path.join(chart, file), 'utf8');
const templates = globSync('templates/*', { cwd: chart }).map((file) => read(file));

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
type Values = { readonly [key: string]: Json };
type Schema = { readonly properties?: Readonly<Record<string, Schema>>; readonly $ref?: string };

const values = parse(read('values.yaml')) as Values;
const schema = JSON.parse(read('values.schema.json')) as Schema & { definitions: { secret: Schema } };
const configurable = Object.keys(schema.properties?.['config']?.properties ?? {});
/** Not ours: Node and the Azure SDK read them. */
const ofNode = ['HTTPS_PROXY', 'NO_PROXY', 'NODE_EXTRA_CA_CERTS'];
/** What the templates set by name; a value under `config` is the other way for a variable to get into the pod. */
const setByChart = templates.flatMap((text) =>
  [...text.matchAll(/(?:\bname|variable): ([A-Z][A-Z_]+)\b/g)].map(([, name = '']) => name),
);

function variableOf(name: string): VariableName | undefined {
  const base = name.replace(/_FILE$/, '');
  return variableNames.find((known) => known === name || (known === base && variables[known].fromFile));
}

/** The smallest values with which the chart can be installed. */
const smallest = {
  image: { repository: 'registry.example.com/apono-sentinel' },
  config: {
    LOGS_INGESTION_ENDPOINT: 'https://apono-abcd.westeurope-1.ingest.monitor.azure.com',
    DATA_COLLECTION_RULE_ID: `dcr-${'0'.repeat(32)}`,
  },
  trustProxy: '10.0.0.0/8',
  azure: { tenantId: '11111111-1111-4111-8111-111111111111', clientId: '22222222-2222-4222-8222-222222222222' },
  secrets: { webhook: { name: 'apono-sentinel' } },
  networkPolicy: { ingressController: [{ namespaceSelector: { matchLabels: { app: 'ingress' } } }] },
};
const database = { outbox: { type: 'postgres' }, replicas: 3, secrets: { outboxUrl: { name: 'database' } } };
/** What the webhook of Microsoft Entra Workload ID adds to a pod with its label. Any file that can be read will do. */
const setByWorkloadIdentity = {
  AZURE_FEDERATED_TOKEN_FILE: import.meta.filename,
  AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com/',
};
const monitored = {
  admin: { enabled: true, serviceMonitor: { enabled: true } },
  secrets: { adminToken: { name: 'admin' }, metricsToken: { name: 'metrics' } },
  networkPolicy: { prometheus: [{ namespaceSelector: { matchLabels: { app: 'prometheus' } } }] },
};

describe('the Helm chart, as it is written', () => {
  it('sets variables that the service has, and can set every one of them', () => {
    assert.ok(setByChart.length > 10);
    assert.deepEqual(
      [...setByChart, ...configurable].filter((name) => variableOf(name) === undefined && !ofNode.includes(name)),
      [],
    );
    const reached = [...setByChart, ...configurable].map(variableOf);
    // The webhook of workload identity sets that one.
    const missing = variableNames.filter((name) => !reached.includes(name));
    assert.deepEqual(missing, ['AZURE_FEDERATED_TOKEN_FILE']);
  });

  it('takes secrets as files alone, and no variable in two places', () => {
    const secrets = variableNames.filter((name) => variables[name].secret);
    assert.deepEqual(
      [...setByChart, ...configurable].filter((name) => secrets.some((secret) => secret === name)),
      [],
    );
    assert.deepEqual(
      configurable.filter((name) => setByChart.some((set) => variableOf(set) === name)),
      [],
    );
  });

  it('has a default for every value that its schema knows, and none that it does not', () => {
    const keysOf = (node: Schema, prefix: string): string[] =>
      Object.entries(node.properties ?? {})
        .filter(([key]) => `${prefix}${key}` !== 'global' && prefix !== 'config.')
        .flatMap(([key, inner]) => [
          `${prefix}${key}`,
          ...keysOf(inner.$ref === undefined ? inner : schema.definitions.secret, `${prefix}${key}.`),
        ]);
    const known = keysOf(schema, '');
    const given = known.filter((key) => key.split('.').reduce<Json | undefined>(member, values) !== undefined);
    assert.ok(known.includes('secrets.webhook.key'));
    assert.deepEqual(given, known);
    assert.ok(valid(values), 'values.yaml');
  });

  it('refuses values that are misspelt, and numbers that Helm would write in another form', () => {
    assert.ok(valid(smallest));
    assert.ok(!valid({ config: { LOGS_INGESTION_ENDPIONT: 'x' } }));
    assert.ok(!valid({ config: { OUTBOX_MAX_BYTES: 1_073_741_824 } }));
    assert.ok(!valid({ config: { APONO_WEBHOOK_SECRET: 'a secret among the values' } }));
    assert.ok(!valid({ replica: 3 }));
    assert.ok(!valid({ azure: { signIn: 'password' } }));
  });

  it('takes null for uid, group and fsGroup, which OpenShift sets itself, and no root', () => {
    assert.ok(valid({ podSecurityContext: { runAsUser: null, runAsGroup: null, fsGroup: null } }));
    assert.ok(valid({ podSecurityContext: { runAsUser: 1_000_690_000, runAsGroup: 0 } }));
    assert.ok(!valid({ podSecurityContext: { runAsUser: 0 } }));
    assert.ok(!valid({ podSecurityContext: { runAsNonRoot: false } }));
    const set = templates.flatMap((text) => [...text.matchAll(/^ *(runAsUser|runAsGroup|fsGroup): *\d/gm)]);
    assert.deepEqual(set, [], 'no template sets one of them whatever the values say');
    assert.deepEqual(values['podSecurityContext'], { runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000 });
  });

  it('has the version of the package', () => {
    const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };
    const { version: ofChart, appVersion } = parse(read('Chart.yaml')) as Record<string, unknown>;
    assert.deepEqual([ofChart, appVersion], [version, version]);
  });
});

function member(of: Json | undefined, key: string): Json | undefined {
  return typeof of === 'object' && of !== null && !Array.isArray(of) ? (of as Values)[key] : undefined;
}

function valid(candidate: unknown): boolean {
  return new Ajv({ strict: true, allowUnionTypes: true }).validate(schema, candidate) === true;
}

const helm = process.env['HELM'] ?? 'helm';
const noHelm = spawnSync(helm, ['version']).status !== 0 ? 'helm is missing (HELM names the program)' : false;

describe('the Helm chart, rendered by Helm', { skip: noHelm }, () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-helm-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function run(args: readonly string[], ...layers: readonly object[]): { status: number | null; text: string } {
    const files = layers.flatMap((layer, index) => {
      const file = path.join(folder, `values-${index}.yaml`);
      writeFileSync(file, JSON.stringify(layer));
      return ['-f', file];
    });
    const result = spawnSync(helm, [...args, ...files], { encoding: 'utf8' });
    return { status: result.status, text: result.status === 0 ? result.stdout : result.stderr };
  }

  function render(...layers: readonly object[]): Manifest[] {
    const { status, text } = run(['template', 'soc', chart], smallest, ...layers);
    assert.equal(status, 0, text);
    return parseAllDocuments(text).map((document) => {
      assert.deepEqual(document.errors, []);
      return document.toJS() as Manifest;
    });
  }

  function refusal(...layers: readonly object[]): string {
    const { status, text } = run(['template', 'soc', chart], smallest, ...layers);
    assert.notEqual(status, 0);
    return text;
  }

  it('passes helm lint, with its defaults and with values', () => {
    for (const layers of [[], [smallest], [smallest, database, monitored]]) {
      const { status, text } = run(['lint', chart, '--strict'], ...layers);
      assert.equal(status, 0, text);
    }
  });

  it('gives the service a configuration that it takes, with every way to sign in and both outboxes', async () => {
    const pair = await generate([{ name: 'commonName', value: 'x' }], { keySize: 2048 });
    const contents: Readonly<Record<string, string>> = {
      outbox_url: 'postgres://a:b@db/x?sslmode=require',
      'azure_client.pem': `${pair.cert}\n${pair.private}`,
    };
    const pem = { secrets: { azureClientCertificate: { name: 'x' } }, azure: { signIn: 'clientCertificate' } };
    const clientSecret = { secrets: { azureClientSecret: { name: 'x' } }, azure: { signIn: 'clientSecret' } };
    const managed = { azure: { signIn: 'managedIdentity', tenantId: '' } };
    for (const layers of [[], [pem], [clientSecret], [managed], [database, monitored]]) {
      const manifests = render(...layers);
      const { metadata, spec } = workload(manifests).spec.template;
      const { containers, volumes } = spec;
      const mounted = volumes.flatMap(
        ({ projected }) => projected?.sources.flatMap(({ secret }) => secret.items) ?? [],
      );
      for (const { path: name } of mounted) {
        writeFileSync(path.join(folder, name), contents[name] ?? 'a'.repeat(32));
      }
      const env = Object.fromEntries(
        (containers[0]?.env ?? []).map(({ name, value }) => [name, value.replace(/^\/secrets\//, `${folder}/`)]),
      );
      const withIdentity = metadata.labels['azure.workload.identity/use'] === 'true';
      const { problems, warnings } = loadConfig({ ...env, ...(withIdentity && setByWorkloadIdentity) });
      assert.deepEqual({ problems, warnings }, { problems: [], warnings: [] });
    }
  });

  it('runs one pod with a volume on SQLite, several without one on PostgreSQL, and refuses to mix them', () => {
    const one = render();
    assert.equal(workload(one).kind, 'StatefulSet');
    assert.equal(workload(one).spec.volumeClaimTemplates?.length, 1);
    assert.equal(
      one.find(({ kind }) => kind === 'PodDisruptionBudget'),
      undefined,
    );
    const several = render(database);
    assert.equal(workload(several).kind, 'Deployment');
    assert.equal(workload(several).spec.replicas, 3);
    assert.equal(workload(several).spec.volumeClaimTemplates, undefined);
    assert.ok(several.some(({ kind }) => kind === 'PodDisruptionBudget'));
    assert.match(refusal({ replicas: 2 }), /replicas is 2, and outbox.type is sqlite/);
    assert.match(refusal({ outbox: { type: 'postgres' } }), /secrets\.outboxUrl\.name must name/);
    assert.match(refusal({ secrets: { outboxUrl: { name: 'x' } } }), /outbox\.type is sqlite/);
  });

  it('says what is missing', () => {
    assert.match(refusal({ trustProxy: '' }), /trustProxy is needed/);
    assert.match(refusal({ secrets: { webhook: { name: '' } } }), /secrets\.webhook\.name must name/);
    assert.match(refusal({ config: { DATA_COLLECTION_RULE_ID: '' } }), /config\.DATA_COLLECTION_RULE_ID is needed/);
    assert.match(refusal({ networkPolicy: { ingressController: [] } }), /nobody would reach the service/);
    assert.match(refusal({ admin: { enabled: true } }), /secrets\.adminToken\.name must name/);
    assert.match(refusal({ azure: { clientId: '' } }), /azure\.tenantId and azure\.clientId are needed/);
    assert.match(refusal({ azure: { signIn: 'managedIdentity' } }), /azure\.tenantId is set/);
    assert.match(refusal({ image: { repository: '' } }), /image\.repository is needed/);
    assert.match(refusal({ ingress: { enabled: true } }), /ingress\.host is needed/);
  });

  it('lets only the ingress controller in, Prometheus to the admin port, and the webhook paths through the Ingress', () => {
    const manifests = render(database, monitored, { ingress: { enabled: true, host: 'apono.example.com' } });
    const policy = manifests.find(({ kind }) => kind === 'NetworkPolicy')?.spec as unknown as {
      ingress: { from: unknown[]; ports: { port: number }[] }[];
      egress: { ports: { port: number }[] }[];
    };
    assert.deepEqual(policy.ingress, [
      { from: smallest.networkPolicy.ingressController, ports: [{ protocol: 'TCP', port: 8080 }] },
      { from: monitored.networkPolicy.prometheus, ports: [{ protocol: 'TCP', port: 9090 }] },
    ]);
    assert.deepEqual(
      policy.egress.map(({ ports }) => ports.map(({ port }) => port)),
      [[53, 53], [443], [5432]],
    );
    const ingress = manifests.find(({ kind }) => kind === 'Ingress')?.spec as unknown as {
      tls: unknown;
      rules: { http: { paths: { path: string; pathType: string }[] } }[];
    };
    assert.deepEqual(ingress.tls, [{ hosts: ['apono.example.com'] }]);
    const paths = ingress.rules.flatMap(({ http }) => http.paths).map((one) => [one.path, one.pathType]);
    assert.deepEqual(paths, [['/apono/webhook', 'Prefix']]);
  });

  it('runs as uid 1000 unless OpenShift chooses, and takes a CA file for NODE_EXTRA_CA_CERTS', () => {
    const always = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };
    assert.deepEqual(workload(render()).spec.template.spec.securityContext, {
      ...always,
      runAsUser: 1000,
      runAsGroup: 1000,
      fsGroup: 1000,
      fsGroupChangePolicy: 'OnRootMismatch',
    });
    const dropped = { podSecurityContext: { runAsUser: null, runAsGroup: null, fsGroup: null } };
    assert.deepEqual(workload(render(dropped)).spec.template.spec.securityContext, always);
    const { volumes, containers } = workload(
      render({
        config: { NODE_EXTRA_CA_CERTS: '/ca/ca.pem' },
        extraVolumes: [{ name: 'ca', configMap: { name: 'our-proxy-ca' } }],
        extraVolumeMounts: [{ name: 'ca', mountPath: '/ca', readOnly: true }],
      }),
    ).spec.template.spec;
    assert.ok(volumes.some(({ name }) => name === 'ca'));
    assert.ok(containers[0]?.volumeMounts.some(({ mountPath }) => mountPath === '/ca'));
    assert.ok(containers[0]?.env.some(({ name, value }) => name === 'NODE_EXTRA_CA_CERTS' && value === '/ca/ca.pem'));
  });

  it('gives a pod longer to stop than the service takes, and nothing that it does not need', () => {
    const { spec } = workload(render(database, { shutdownTimeoutMs: 60_001 })).spec.template;
    assert.equal(spec.terminationGracePeriodSeconds, 5 + 61 + 10);
    assert.equal(workload(render()).spec.template.spec.terminationGracePeriodSeconds, 35);
    assert.equal(spec.enableServiceLinks, false);
    assert.equal(spec.automountServiceAccountToken, false);
    assert.deepEqual(spec.containers[0]?.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });
});

type Manifest = {
  readonly kind: string;
  readonly spec: {
    readonly replicas: number;
    readonly volumeClaimTemplates?: readonly unknown[];
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: PodSpec;
    };
  };
};

type PodSpec = {
  readonly terminationGracePeriodSeconds: number;
  readonly enableServiceLinks: boolean;
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: unknown;
  readonly containers: readonly {
    readonly securityContext: unknown;
    readonly volumeMounts: readonly { readonly mountPath: string }[];
    readonly env: readonly { readonly name: string; readonly value: string }[];
  }[];
  readonly volumes: readonly {
    readonly name: string;
    readonly projected?: {
      readonly sources: readonly { readonly secret: { readonly items: readonly { path: string }[] } }[];
    };
  }[];
};

function workload(manifests: readonly Manifest[]): Manifest {
  const found = manifests.find(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment');
  assert.ok(found !== undefined);
  return found;
}
