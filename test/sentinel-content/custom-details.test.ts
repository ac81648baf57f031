import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { readRules } from './detections.ts';
import { runQuery } from './run/run.ts';
import type { Row } from './run/table.ts';
import { isBag, textOf, type Value } from './run/values.ts';

const SAMPLES_URL = new URL('../../deploy/sentinel/Sample%20Data/Rules/', import.meta.url);

/** https://learn.microsoft.com/azure/sentinel/surface-custom-details-in-alerts: of all values of an alert; what exceeds it is dropped. */
const limitBytes = 2048;

/** Text of one, two, three and four bytes a character, and what takes two and six in JSON. */
const alphabets = ['a', 'ש', '漢', '🔑', '"', '\u0001'];

/** Columns and settings by whose values a rule decides, or of a length that is known. */
const decisive =
  /^(event_action|severity|integration_status|ResultType|Risk\w+|IPAddress|status|type|body_form|ReportedSteps|TimeZone)$/;

/** The same text at the end of each value: what was equal stays equal. */
function longer(value: Value, ending: string): Value {
  if (typeof value === 'string') return value === '' || value === '*' ? value : `${value}${ending}`;
  if (Array.isArray(value)) return value.map((one: Value) => longer(one, ending));
  return isBag(value) ? longerFields(value, ending) : value;
}

function longerFields(fields: Row, ending: string): Row {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, decisive.test(name) ? value : longer(value, ending)]),
  );
}

/** `name = "text"`, `name = strcat("text", …)` and `name = dynamic(["text"])` of a sample's settings and common columns. */
const constant = /\b(\w+) = ("[^"]*"|strcat\("[^"]*"|dynamic\(\[[^\]]*\]\))/g;

/** The result of the rule on its sample, with every text longer than it may get. */
function worstRows(file: string, alphabet: string): readonly Row[] {
  const ending = alphabet.repeat(700);
  const text = readFileSync(new URL(file.replace(/\.yaml$/, '.kql'), SAMPLES_URL), 'utf8');
  const [sample = '', rule = ''] = text.slice(0, text.indexOf('let Actual')).split(/(?=let Rule = )/);
  const literal = (value: string): string => JSON.stringify(longer(JSON.parse(value), ending));
  const worst = sample.replaceAll(constant, (all: string, name: string, value: string) =>
    decisive.test(name) ? all : `${name} = ${value.replaceAll(/"[^"]*"/g, literal)}`,
  );
  return runQuery(`${worst}${rule}Rule()`, (rows) => rows.map((row) => longerFields(row, ending))).rows;
}

describe('custom details of the analytics rules', () => {
  for (const { file, customDetails } of readRules()) {
    it(`fit into Microsoft Sentinel's limit whatever Apono sends: ${file}`, () => {
      for (const alphabet of alphabets) {
        const rows = worstRows(file, alphabet);
        assert.notEqual(rows.length, 0, `nothing is found with ${JSON.stringify(alphabet)}`);
        for (const row of rows) {
          const details = Object.entries(customDetails).map(([key, column]) => [key, [textOf(row[column] ?? null)]]);
          const json = JSON.stringify(Object.fromEntries(details));
          assert.ok(Buffer.byteLength(json) <= limitBytes, `${Buffer.byteLength(json)} bytes: ${json}`);
        }
      }
    });
  }

  it('begin with what alerts are grouped by, so that it is the last to be lost', () => {
    for (const { file, customDetails, incidentConfiguration } of readRules()) {
      const { groupByCustomDetails } = incidentConfiguration.groupingConfiguration;
      assert.deepEqual(groupByCustomDetails, Object.keys(customDetails).slice(0, groupByCustomDetails.length), file);
    }
  });

  it('cut no more than they must', () => {
    const [row] = worstRows('AponoSelfApproval.yaml', 'a');
    assert.equal(textOf(row?.['Reason'] ?? null).length, 300);
    const [hebrew] = worstRows('AponoSelfApproval.yaml', 'ש');
    assert.equal(textOf(hebrew?.['Reason'] ?? null).length, 150);
  });
});
