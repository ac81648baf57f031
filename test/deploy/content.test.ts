import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ruleKey } from '../../deploy/generate/names.ts';
import type { Fields } from './arm/deploy.ts';
import type { Value } from './arm/functions.ts';
import {
  contentTemplate,
  currentSources,
  deployContent,
  deployMain,
  mainTemplate,
  ofType,
  only,
  propertiesOf,
  readJson,
  types,
  WORKSPACE_ID,
} from './support.ts';

interface RuleProperties {
  readonly displayName: string;
  readonly description: string;
  readonly enabled: boolean;
  readonly severity: string;
  readonly query: string;
  readonly queryFrequency: string;
  readonly queryPeriod: string;
  readonly triggerOperator: string;
  readonly suppressionEnabled: boolean;
  readonly suppressionDuration: string;
  readonly tactics: readonly string[];
  readonly techniques: readonly string[];
  readonly entityMappings?: readonly { readonly fieldMappings: readonly object[] }[];
  readonly customDetails?: Readonly<Record<string, string>>;
  readonly alertDetailsOverride?: Readonly<Record<string, string>>;
  readonly incidentConfiguration: {
    readonly groupingConfiguration: {
      readonly lookbackDuration: string;
      readonly groupByCustomDetails?: readonly string[];
    };
  };
}

const { content } = currentSources();
const created = 'accessRequestCreated';

function rules(parameters: Fields = {}): readonly { readonly id: string; readonly properties: RuleProperties }[] {
  return ofType(deployContent(parameters), types.alertRule).map((rule) => ({
    id: rule.name,
    properties: propertiesOf<RuleProperties>(rule),
  }));
}

function createdRule(parameters: Fields = {}): RuleProperties {
  const yaml = content.rules.find(({ file }) => ruleKey(file) === created);
  const rule = rules(parameters).find(({ id }) => id === yaml?.value.id);
  assert.ok(rule !== undefined);
  return rule.properties;
}

/** Minutes of `PT5M`, `PT47H`, `P14D`. */
function minutes(duration: string): number {
  const [, days, hours, part] = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?$/.exec(duration) ?? [];
  const total = Number(days ?? 0) * 1440 + Number(hours ?? 0) * 60 + Number(part ?? 0);
  assert.ok(total > 0, `${duration} is no duration`);
  return total;
}

describe('the content', () => {
  it('is the same alone and inside of azuredeploy.json, and each parameter is passed on', () => {
    const nested = mainTemplate.resources.find(({ type }) => type === 'Microsoft.Resources/deployments');
    assert.ok(nested !== undefined);
    const { template, parameters } = nested['properties'] as Readonly<Record<string, Value>>;
    assert.deepEqual(template, contentTemplate);
    const names = Object.keys(contentTemplate.parameters);
    assert.deepEqual(parameters, Object.fromEntries(names.map((name) => [name, { value: `[parameters('${name}')]` }])));
    for (const name of names) assert.deepEqual(mainTemplate.parameters[name], contentTemplate.parameters[name]);
  });

  it('is deployed with the rest, and not when that is turned off', () => {
    const all = (parameters: Fields) => ofType(deployMain(parameters), types.alertRule).length;
    assert.equal(all({}), content.rules.length);
    assert.equal(all({ deployContent: false }), 0);
  });

  it('is every file of its folders', () => {
    const deployment = deployContent();
    assert.ok(content.rules.length >= 18 && content.parsers.length >= 8, 'there is content');
    const names = (type: string) => ofType(deployment, type).map(({ name }) => name.split('/').at(-1));
    assert.deepEqual(
      names(types.alertRule),
      content.rules.map(({ value }) => value.id),
    );
    assert.deepEqual(names(types.savedSearch), [
      ...content.parsers.map(({ value }) => value.FunctionAlias),
      ...content.huntingQueries.map(({ value }) => value.id),
    ]);
  });

  it('can be left out in part: rules, hunting queries, workbook, and settings that were edited', () => {
    const left = (parameters: Fields) => {
      const { resources } = deployContent(parameters);
      const whole = deployContent().resources.filter(({ id }) => !resources.some((resource) => resource.id === id));
      return [whole.length, [...new Set(whole.map(({ type, name }) => `${type} ${name}`))]] as const;
    };
    assert.equal(left({ deployRules: false })[0], content.rules.length);
    assert.equal(left({ deployHuntingQueries: false })[0], content.huntingQueries.length);
    assert.equal(left({ deployWorkbook: false })[0], content.workbooks.length);
    assert.deepEqual(left({ deploySettings: false }), [1, [`${types.savedSearch} sentinel-ws/AponoSettings`]]);
  });
});

describe('the analytics rules', () => {
  it('say what their YAML files say', () => {
    const deployed = rules();
    for (const [index, { value: yaml }] of content.rules.entries()) {
      const properties = deployed[index]?.properties;
      assert.ok(properties !== undefined);
      assert.equal(properties.displayName, yaml.name);
      assert.equal(properties.query, yaml.query);
      assert.equal(properties.severity, yaml.severity);
      assert.deepEqual(properties.entityMappings, yaml.entityMappings);
      assert.deepEqual(properties.customDetails, yaml.customDetails);
      assert.deepEqual(properties.tactics, yaml.tactics);
    }
  });

  it('each have a parameter that turns them on and off, and only them', () => {
    const enabled = (parameters: Fields) => rules(parameters).filter(({ properties }) => properties.enabled);
    const standard = enabled({}).map(({ id }) => id);
    for (const { file, value } of content.rules) {
      const key = ruleKey(file);
      const isOn = key !== created;
      assert.equal(standard.includes(value.id), isOn, `${file}: on by default`);
      const others = standard.filter((id) => id !== value.id);
      const changed = enabled({ [`${key}Enabled`]: !isOn }).map(({ id }) => id);
      assert.deepEqual(new Set(changed), new Set(isOn ? others : [...others, value.id]));
    }
  });

  it('keep the limits of Sentinel', () => {
    for (const { properties: rule } of rules()) {
      const name = rule.displayName;
      const [frequency, period] = [minutes(rule.queryFrequency), minutes(rule.queryPeriod)];
      assert.ok(frequency >= 5 && period <= 14 * 1440 && frequency <= period, name);
      assert.ok(period < 2 * 1440 || frequency >= 60, `${name}: two days or more take an hour or more`);
      assert.ok(rule.query.length <= 10_000 && name.length <= 256 && rule.description.length <= 5_000, name);
      assert.ok(['GreaterThan', 'LessThan', 'Equal', 'NotEqual'].includes(rule.triggerOperator), name);
      assert.equal(typeof rule.suppressionEnabled, 'boolean', name);
      assert.ok(minutes(rule.suppressionDuration) >= frequency, name);
      assert.ok((rule.entityMappings ?? []).length <= 10, name);
      for (const { fieldMappings } of rule.entityMappings ?? []) assert.ok(fieldMappings.length <= 3, name);
      const details = Object.keys(rule.customDetails ?? {});
      assert.ok(details.length <= 20 && details.every((key) => /^[a-zA-Z]\w{0,19}$/.test(key)), name);
      assert.ok((rule.alertDetailsOverride?.['alertDisplayNameFormat'] ?? '').length <= 256, name);
      const grouping = rule.incidentConfiguration.groupingConfiguration;
      assert.ok(minutes(grouping.lookbackDuration) >= 5, name);
      for (const key of grouping.groupByCustomDetails ?? []) assert.ok(details.includes(key), `${name}: ${key}`);
      for (const technique of rule.techniques) assert.match(technique, /^T\d{4}$/, name);
    }
    assert.ok(rules().length <= 512);
  });
});

describe('the rule on created access requests', () => {
  it("is Apono's recipe by default", () => {
    const { enabled, severity, tactics, techniques } = createdRule();
    assert.deepEqual(
      [enabled, severity, tactics, techniques],
      [false, 'Informational', ['ResourceDevelopment'], ['T1650']],
    );
  });

  it('is raised for other steps, as something else, where that is asked for', () => {
    const rule = createdRule({
      [`${created}EventActions`]: ['Granted', "It's"],
      [`${created}Severity`]: 'Low',
      [`${created}Tactic`]: 'PrivilegeEscalation',
      [`${created}Technique`]: 'T1098',
    });
    assert.deepEqual([rule.severity, rule.tactics, rule.techniques], ['Low', ['PrivilegeEscalation'], ['T1098']]);
  });

  it('reports the steps that are the default of AponoSettings, whose text no event type can end', () => {
    const declared = (parameters: Fields): unknown => {
      const searches = ofType(deployContent(parameters), types.savedSearch).map((search) =>
        propertiesOf<Fields>(search),
      );
      return searches.find((search) => search['functionAlias'] === 'AponoSettings')?.['functionParameters'];
    };
    assert.equal(declared({}), "steps:string = 'Created'");
    const steps = { [`${created}EventActions`]: ['Granted', "It's\\"] };
    assert.equal(declared(steps), "steps:string = 'Granted,Its'");
    assert.match(createdRule(steps).query, /AponoSettings\(\) \| project ReportedSteps/);
  });

  it('can do without a technique', () => {
    assert.deepEqual(createdRule({ [`${created}Technique`]: '' }).techniques, []);
    assert.throws(() => createdRule({ [`${created}Severity`]: 'Critical' }), /not allowed/);
  });
});

describe('functions and hunting queries', () => {
  const savedSearches = ofType(deployContent(), types.savedSearch).map(({ name, body }) => ({
    name,
    properties: body['properties'] as unknown as Readonly<Record<string, string>> & {
      readonly tags?: readonly { readonly name: string; readonly value: string }[];
    },
  }));

  it('replace those of an earlier deployment', () => {
    for (const { name, properties } of savedSearches) {
      assert.deepEqual([properties['etag'], properties['version']], ['*', 2], name);
    }
  });

  it('are deployed one after another, also without the settings: at once a workspace refuses some of them', () => {
    for (const parameters of [{}, { deploySettings: false }]) {
      const deployed = ofType(deployContent(parameters), types.savedSearch);
      const waitsFor = new Map(deployed.map(({ id, body }) => [id, (body['dependsOn'] ?? []) as readonly string[]]));
      const depth = (id: string): number =>
        1 + Math.max(0, ...(waitsFor.get(id) ?? []).filter((other) => waitsFor.has(other)).map(depth));
      const depths = deployed.map(({ id }) => depth(id)).toSorted((one, other) => one - other);
      assert.deepEqual(
        depths,
        deployed.map((_, index) => index + 1),
      );
    }
  });

  it('are functions with the alias and the parameters of their files', () => {
    const functions = savedSearches.filter(({ properties }) => properties['functionAlias'] !== undefined);
    assert.equal(new Set(functions.map(({ properties }) => properties['functionAlias'])).size, content.parsers.length);
    for (const { value } of content.parsers) {
      const found = functions.find(({ properties }) => properties['functionAlias'] === value.FunctionAlias);
      assert.equal(found?.properties['query'], value.FunctionQuery);
      const list = found.properties['functionParameters']?.split(', ') ?? [];
      assert.deepEqual(
        list.map((parameter) => parameter.split(':')[0]),
        value.FunctionParams?.map(({ Name }) => Name) ?? [],
      );
    }
  });

  it('are hunting queries with description, tactics and techniques', () => {
    const hunting = savedSearches.filter(({ properties }) => properties['category'] === 'Hunting Queries');
    assert.equal(hunting.length, content.huntingQueries.length);
    for (const { name, properties } of hunting) {
      assert.deepEqual(
        properties.tags?.map((tag) => tag.name),
        ['description', 'tactics', 'techniques'],
        name,
      );
    }
  });
});

describe('the workbook', () => {
  it('is a workbook of Sentinel, with what its file says', () => {
    const workbook = only(deployContent(), types.workbook);
    const { serializedData, ...properties } = propertiesOf<Readonly<Record<string, string>>>(workbook);
    assert.match(workbook.name, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(workbook.body['kind'], 'shared');
    assert.deepEqual(properties, {
      displayName: 'Apono access',
      category: 'sentinel',
      version: 'Notebook/1.0',
      sourceId: WORKSPACE_ID,
    });
    assert.deepEqual(JSON.parse(serializedData ?? ''), readJson('sentinel/Workbooks/AponoAccess.json'));
  });
});
