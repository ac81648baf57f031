import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../../src/ground/json.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import { parseFilter } from '../support/azure/odata.ts';
import { sampleDetails, sampleIncidents, sampleName } from '../support/azure/sample-incidents.ts';
import { startTestEmulator } from '../support/emulator.ts';
import { type Answer, bearer, call, errorOf, managementScope } from './client.ts';

interface Page {
  readonly value: readonly { name: string; properties: { incidentNumber: number } }[];
  readonly nextLink?: string;
}

async function ask(emulator: Emulator, path: string, method = 'GET'): Promise<Answer> {
  const url = path.startsWith('https:')
    ? path
    : `${emulator.origin}${emulator.workspaceResourceId}/providers/Microsoft.SecurityInsights${path}`;
  const headers = { authorization: await bearer(emulator, managementScope) };
  return call(url, { method, headers, path: url.slice(emulator.origin.length) });
}

async function list(emulator: Emulator, query: Record<string, string> = {}): Promise<Page> {
  const answer = await ask(emulator, `/incidents?${new URLSearchParams({ 'api-version': '2025-09-01', ...query })}`);
  assert.equal(answer.status, 200, answer.text);
  return JSON.parse(answer.text) as Page;
}

async function startWith(t: Parameters<typeof startTestEmulator>[0], count: number): Promise<Emulator> {
  const emulator = await startTestEmulator(t);
  const source = sampleIncidents({ count, workspaceId: emulator.workspaceResourceId });
  emulator.setIncidents(source);
  emulator.setIncidentDetails(sampleDetails(source));
  return emulator;
}

const numbers = ({ value }: Page): number[] => value.map(({ properties }) => properties.incidentNumber);

describe('the incidents of the emulated Sentinel', () => {
  test('come 50 a page, the newest first, and each link works once it is sent as it is', async (t) => {
    const emulator = await startWith(t, 120);
    const first = await list(emulator);
    assert.deepEqual([first.value.length, numbers(first)[0]], [50, 120]);
    const link = first.nextLink ?? '';
    for (const sign of ['+', '/', '=', '-', '_', "'"]) assert.ok(link.split('skipToken=')[1]?.includes(sign), sign);
    const second = JSON.parse((await ask(emulator, link)).text) as Page;
    const third = JSON.parse((await ask(emulator, second.nextLink ?? '')).text) as Page;
    assert.deepEqual([numbers(second)[0], numbers(third).at(-1), third.nextLink], [70, 1, undefined]);
    const normalised = await ask(emulator, link.replaceAll('+', '%2B'));
    assert.deepEqual([normalised.status, errorOf(normalised).code], [400, 'BadRequest']);
  });

  test('are filtered, ordered and cut as asked, and refused where that is nonsense', async (t) => {
    const emulator = await startWith(t, 60);
    const oldest = await list(emulator, { $orderby: 'properties/createdTimeUtc asc', $top: '3' });
    assert.deepEqual(numbers(oldest), [1, 2, 3]);
    const some = await list(emulator, { $filter: "properties/severity eq 'High' and properties/incidentNumber le 9" });
    assert.deepEqual(numbers(some), [9, 5, 1]);
    const labelled = await list(emulator, { $filter: "properties/labels/any(i: i/labelName eq 'team''s; prod')" });
    assert.equal(labelled.value.length, 10);
    for (const query of [
      '$filter=properties/severity%20eq',
      '$filter=bogus/x%20eq%201',
      '$top=1001',
      '$orderby=name',
    ]) {
      assert.equal((await ask(emulator, `/incidents?api-version=2025-09-01&${query}`)).status, 400, query);
    }
  });

  test('show one, its comments, alerts and entities, and 404 for another', async (t) => {
    const emulator = await startWith(t, 4);
    const name = sampleName(3);
    const path = `/incidents/${name.toUpperCase()}`;
    const version = '?api-version=2025-09-01';
    assert.equal((JSON.parse((await ask(emulator, `${path}${version}`)).text) as { name: string }).name, name);
    const sizes = await Promise.all([
      ask(emulator, `${path}/comments${version}`),
      ask(emulator, `${path}/alerts${version}`, 'POST'),
    ]);
    assert.deepEqual(
      sizes.map(({ text }) => (JSON.parse(text) as Page).value.length),
      [3, 1],
    );
    const entities = JSON.parse((await ask(emulator, `${path}/entities${version}`, 'POST')).text) as {
      metaData: unknown;
    };
    assert.deepEqual(entities.metaData, [
      { entityKind: 'Account', count: 1 },
      { entityKind: 'Ip', count: 1 },
    ]);
    assert.equal((await ask(emulator, `${path}/alerts${version}`)).status, 405);
    const missing = await ask(emulator, `/incidents/${sampleName(99)}${version}`);
    assert.deepEqual([missing.status, errorOf(missing).code], [404, 'NotFound']);
  });

  test('are not shown of another workspace, without Sentinel, without the role or with the wrong token', async (t) => {
    const emulator = await startWith(t, 1);
    const path = '/incidents?api-version=2025-09-01';
    const other = `${emulator.origin}${emulator.workspaceResourceId}x/providers/Microsoft.SecurityInsights${path}`;
    assert.equal(errorOf(await ask(emulator, other)).code, 'ResourceNotFound');
    emulator.setSentinelEnabled(false);
    const without = await ask(emulator, path);
    assert.deepEqual([without.status, errorOf(without).code], [400, 'BadRequest']);
    assert.match(errorOf(without).message, /^\{"error".*is not onboarded to Microsoft Sentinel/);
    emulator.setSentinelEnabled(true);
    emulator.setReaderRole(false);
    assert.equal((await ask(emulator, path)).status, 403);
    const wrong = await call(
      `${emulator.origin}${emulator.workspaceResourceId}/providers/Microsoft.SecurityInsights${path}`,
      {
        headers: { authorization: await bearer(emulator) },
      },
    );
    assert.equal(errorOf(wrong).code, 'InvalidAuthenticationTokenAudience');
  });

  test('can be odd: repeated ones, empty pages, a link that repeats, one elsewhere, $top as the end', async (t) => {
    const emulator = await startWith(t, 120);
    emulator.setPagingOddities({ repeated: 2, emptyPages: true });
    const first = await list(emulator);
    const empty = JSON.parse((await ask(emulator, first.nextLink ?? '')).text) as Page;
    assert.equal(empty.value.length, 0);
    const second = JSON.parse((await ask(emulator, empty.nextLink ?? '')).text) as Page;
    assert.deepEqual(numbers(second).slice(0, 2), numbers(first).slice(-2));
    emulator.setPagingOddities({ repeatLink: true });
    const again = await list(emulator);
    const met = JSON.parse((await ask(emulator, again.nextLink ?? '')).text) as Page;
    assert.equal(met.nextLink, again.nextLink);
    emulator.setPagingOddities({ foreignOrigin: 'https://evil.invalid' });
    assert.match((await list(emulator)).nextLink ?? '', /^https:\/\/evil\.invalid\/subscriptions\//);
    emulator.setPagingOddities({ topEndsList: true });
    assert.equal((await list(emulator)).nextLink, undefined);
  });
});

describe('the OData filter of the emulator', () => {
  const incident: JsonObject = {
    properties: {
      title: "It's on",
      severity: 'High',
      classification: 'Undetermined',
      incidentNumber: 7,
      createdTimeUtc: '2026-01-01T00:00:00.5Z',
      labels: [{ labelName: 'a' }, { labelName: "b'c" }],
    },
  };
  const cases: [string, boolean][] = [
    ["properties/title eq 'It''s on'", true],
    ["contains(properties/title,'s o')", true],
    ["contains(toLower(properties/title), 'it')", true],
    ["contains(properties/title,'it')", false],
    ["startswith(properties/title,'It') and not endswith(properties/title,'off')", true],
    ["properties/labels/any(i: i/labelName eq 'b''c')", true],
    ["properties/labels/any(x:x/labelName eq 'z' or x/labelName eq 'y')", false],
    ["properties/labels/any(x:x/labelName eq 'a') and properties/severity eq 'High'", true],
    ["properties/classification eq 'Undetermined'", false],
    ["'Undetermined' eq properties/classification", false],
    ["properties/classification ne 'TruePositive'", true],
    ['properties/createdTimeUtc ge 2026-01-01T00:00:00.5000000Z', true],
    ['properties/createdTimeUtc gt 2026-01-01T00:00:00.5000000Z', false],
    ['properties/incidentNumber lt 7 or (properties/incidentNumber eq 7)', true],
    ["properties/severity eq 'Low' or properties/severity eq 'High' and properties/incidentNumber eq 8", false],
    ['properties/description eq null', true],
    ['properties/description ne null', false],
  ];
  for (const [filter, expected] of cases) {
    test(filter, () => assert.equal(parseFilter(filter)(incident), expected));
  }

  for (const filter of [
    "properties/severity eq 'High' and properties/labels/any(x: x/labelName eq 'a')",
    "properties/labels/any(x: x/labelName eq 'a') and properties/labels/any(x: x/labelName eq 'b')",
    "not properties/labels/any(x: x/labelName eq 'a')",
  ]) {
    test(`refuses an any() that is not the first and only one, as Azure does: ${filter}`, () => {
      assert.throws(() => parseFilter(filter), /OData query syntax error/);
    });
  }
});
