import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attackProblems } from './attack.ts';
import {
  type AnalyticRule,
  minutesOf,
  placeholdersOf,
  readHuntingQueries,
  readRules,
  withoutComments,
} from './detections.ts';
import { createKql, describeDiagnostic } from './kql.ts';
import { workspaceTables } from './workspace-tables.ts';

const kql = createKql();
const rules = readRules();
const day = 1440;

/** Identifiers of Azure-Sentinel's validator, for the entities that we map. */
const IDENTIFIERS: Readonly<Record<string, readonly string[]>> = {
  Account: ['Name', 'FullName', 'UPNSuffix', 'AadUserId'],
  CloudApplication: ['AppId', 'Name'],
  AzureResource: ['ResourceId'],
  IP: ['Address'],
};
/** One of these must be there, or the entity is none. */
const STRONG = ['Name', 'FullName', 'AadUserId', 'AppId', 'ResourceId', 'Address'];

const EVENT_FUNCTIONS =
  /\bApono(?:AccessEvents|AccessRequests|RequestLifecycle|AuditEvents|IntegrationEvents|AnomalyEvents)\(\)/g;

/** Reading a query against all functions takes a tenth of a second, so each is read once. */
const resultColumns = new Map<string, ReadonlyMap<string, string>>();

function columnsOf(rule: AnalyticRule): ReadonlyMap<string, string> {
  const known = resultColumns.get(rule.file) ?? readColumns(rule);
  resultColumns.set(rule.file, known);
  return known;
}

function readColumns(rule: AnalyticRule): ReadonlyMap<string, string> {
  const { columns, isOpen } = kql.result(rule.query);
  assert.equal(isOpen, false, 'the columns of the result cannot be known');
  return new Map(columns.map(({ name, type }) => [name, type]));
}

describe('analytics rules', () => {
  it('are there', () => {
    assert.ok(rules.length >= 21, `only ${rules.length}`);
  });

  it('share no id and no name with anything of the solution', () => {
    const all = [...rules, ...readHuntingQueries()];
    const ids = [...all, ...kql.parsers].map(({ id }) => id.toLowerCase());
    assert.deepEqual(ids, [...new Set(ids)]);
    const names = all.map(({ name }) => name);
    assert.deepEqual(names, [...new Set(names)]);
  });

  it('would be found out when a function lost a column that they read', () => {
    const poorer = {
      name: 'AponoAccessEvents',
      parameters: '',
      body: 'AponoAccessRequests_CL | project TimeGenerated',
    };
    const readers = rules.filter(({ query }) => query.includes('AponoAccessEvents()'));
    assert.notEqual(readers.length, 0);
    const poorerKql = createKql({ functions: [poorer] });
    // Three of them: each costs an analysis of all functions.
    for (const { file, query } of readers.slice(0, 3))
      assert.notDeepEqual(poorerKql.diagnose(query), [], `${file} passes`);
  });

  for (const rule of rules) {
    describe(rule.file, () => {
      isCleanKql(rule);
      readsTheFunctions(rule);
      seesEachCaseOnce(rule);
      isValidYaml(rule);
      namesColumnsOfItsResult(rule);
      groupsItsAlerts(rule);
    });
  }
});

function isCleanKql({ query }: AnalyticRule): void {
  it('is KQL without a diagnostic', () => {
    assert.deepEqual(kql.diagnose(query).map(describeDiagnostic), []);
  });

  it('has a diagnostic as soon as a column is misspelt', () => {
    const last = query.lastIndexOf('TimeGenerated');
    assert.notEqual(last, -1);
    const broken = `${query.slice(0, last)}TimeGenrated${query.slice(last + 'TimeGenerated'.length)}`;
    assert.match(kql.diagnose(broken).map(describeDiagnostic).join('\n'), /TimeGenrated/);
  });
}

function readsTheFunctions({ query }: AnalyticRule): void {
  const code = withoutComments(query);

  it('reads our tables through the functions, and Microsoft’s only so that a missing table is no error', () => {
    const tables = Object.keys(workspaceTables()).filter((name) => new RegExp(`\\b${name}\\b`).test(code));
    assert.deepEqual(
      tables.filter((name) => name.endsWith('_CL')),
      [],
    );
    for (const name of tables) {
      assert.match(code, new RegExp(`union isfuzzy=true\\s+\\(datatable\\([^)]*\\)\\[\\]\\),\\s+\\(${name}\\b`));
      assert.equal(code.match(new RegExp(`\\b${name}\\b`, 'g'))?.length, 1, `${name} is read a second time`);
    }
  });

  it('leaves test events out wherever it reads events', () => {
    const reads = code.match(EVENT_FUNCTIONS)?.length ?? 0;
    assert.equal(code.match(/\bnot\(coalesce\(is_test, false\)\)/g)?.length ?? 0, reads);
  });
}

function seesEachCaseOnce({ query, queryFrequency }: AnalyticRule): void {
  // Microsoft Sentinel runs a rule five minutes after the moment that its now() says, so rows of those five minutes are
  // already there. Without the upper bound they would match in this run and in the next.
  it('looks at windows that are as long as the time between two runs and that meet without overlap', () => {
    const code = withoutComments(query);
    const windows = [
      [`IngestedAt > ago(${queryFrequency})`, 'IngestedAt <= now()'],
      [`DueAt > ago(${queryFrequency}) and DueAt <= now()`],
      ['Overdue >= 0s', `Overdue - bin(Overdue, Reminder) < ${queryFrequency}`],
    ];
    assert.ok(
      windows.some((parts) => parts.every((part) => code.includes(part))),
      'none of the known windows fits the frequency',
    );
  });
}

function isValidYaml(rule: AnalyticRule): void {
  it('obeys the limits of Microsoft Sentinel and of Azure-Sentinel’s validator', () => {
    assert.match(rule.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.match(rule.name, /^Apono - .{1,240}$/);
    assert.match(rule.version, /^\d+\.\d+\.\d+$/);
    assert.equal(rule.kind, 'Scheduled');
    assert.equal(rule.status, 'Available');
    assert.deepEqual(rule.requiredDataConnectors, []);
    assert.ok(rule.description.length <= 5000);
    assert.ok(rule.query.length <= 10_000);
    assert.ok(['Informational', 'Low', 'Medium', 'High'].includes(rule.severity));
    assert.equal(rule.triggerOperator, 'gt');
    assert.equal(rule.triggerThreshold, 0);
    assert.equal(rule.suppressionEnabled, false);
    assert.ok(minutesOf(rule.suppressionDuration) >= 5);
  });

  it('runs as often and looks back as far as Microsoft Sentinel allows', () => {
    const frequency = minutesOf(rule.queryFrequency);
    const period = minutesOf(rule.queryPeriod);
    assert.ok(frequency >= 5 && frequency <= 14 * day);
    assert.ok(period >= frequency && period <= 14 * day);
    if (period >= 2 * day)
      assert.ok(frequency >= 60, 'a period of two days or more needs a frequency of an hour or more');
  });

  it('has tactics and techniques that Azure-Sentinel’s validator takes', () => {
    assert.deepEqual(attackProblems(rule.tactics, rule.relevantTechniques), []);
    assert.notEqual(rule.tactics.length, 0);
  });

  it('says what it finds, why, what to do, and what makes a false positive', () => {
    for (const line of [/^Finds /, /^(Why|What is lost)/m, /^What to do: /m, /^False positives: /m])
      assert.match(rule.description, line);
  });
}

function namesColumnsOfItsResult(rule: AnalyticRule): void {
  it('maps entities from text columns of its result', () => {
    const columns = columnsOf(rule);
    const mappings = rule.entityMappings ?? [];
    assert.ok(mappings.length <= 5);
    for (const { entityType, fieldMappings } of mappings) {
      assert.ok(fieldMappings.length >= 1 && fieldMappings.length <= 3);
      assert.ok(fieldMappings.some(({ identifier }) => STRONG.includes(identifier)));
      for (const { identifier, columnName } of fieldMappings) {
        assert.ok(IDENTIFIERS[entityType]?.includes(identifier), `${entityType} has no ${identifier}`);
        assert.equal(columns.get(columnName), 'string', columnName);
      }
    }
  });

  it('takes custom details from simple columns of its result', () => {
    const columns = columnsOf(rule);
    const details = Object.entries(rule.customDetails);
    assert.ok(details.length >= 1 && details.length <= 20);
    for (const [key, column] of details) {
      assert.match(key, /^[a-zA-Z]\w{0,19}$/);
      assert.ok(columns.has(column), `${key}: no column ${column}`);
      assert.notEqual(columns.get(column), 'dynamic', `${key}: ${column} has no limit of length`);
    }
  });

  it('titles its alerts with simple columns of its result, three at most', () => {
    const columns = columnsOf(rule);
    const { alertDisplayNameFormat, alertDescriptionFormat } = rule.alertDetailsOverride;
    assert.ok(alertDisplayNameFormat.length <= 256 && alertDescriptionFormat.length <= 5000);
    for (const format of [alertDisplayNameFormat, alertDescriptionFormat]) {
      const placeholders = placeholdersOf(format);
      assert.ok(placeholders.length >= 1 && placeholders.length <= 3, format);
      assert.equal(format.match(/\{\{/g)?.length, placeholders.length, format);
      for (const column of placeholders) {
        assert.ok(columns.has(column), `no column ${column}`);
        assert.notEqual(columns.get(column), 'dynamic', column);
      }
    }
  });

  it('returns the time that its alerts are dated by', () => {
    assert.equal(columnsOf(rule).get('TimeGenerated'), 'datetime');
  });
}

function groupsItsAlerts(rule: AnalyticRule): void {
  it('makes an incident of the alerts that belong together', () => {
    const { createIncident, groupingConfiguration: grouping } = rule.incidentConfiguration;
    const { aggregationKind } = rule.eventGroupingSettings;
    assert.equal(createIncident, true);
    assert.equal(grouping.enabled, true);
    assert.equal(grouping.reopenClosedIncident, false);
    assert.ok(minutesOf(grouping.lookbackDuration) >= 5 && minutesOf(grouping.lookbackDuration) <= 7 * day);
    if (grouping.matchingMethod === 'AnyAlert') {
      assert.equal(aggregationKind, 'SingleAlert');
      assert.deepEqual(grouping.groupByCustomDetails, []);
      return;
    }
    assert.equal(grouping.matchingMethod, 'Selected');
    assert.equal(aggregationKind, 'AlertPerResult');
    assert.equal(grouping.groupByCustomDetails.length, 1);
    for (const key of grouping.groupByCustomDetails)
      assert.equal(columnsOf(rule).get(rule.customDetails[key] ?? ''), 'string', key);
  });
}
