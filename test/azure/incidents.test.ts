import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Retry } from '../../src/azure/arm-client.ts';
import { ArmError } from '../../src/azure/arm-error.ts';
import { createIncidents, type IncidentQuery, type Incidents } from '../../src/azure/incidents.ts';
import { clouds, resourceManagerScope } from '../../src/config/clouds.ts';
import type { CredentialConfig } from '../../src/config/credential.ts';
import { type Clock, systemClock } from '../../src/ground/clock.ts';
import type { Emulator } from '../support/azure/emulator.ts';
import type { FaultAnswer } from '../support/azure/faults.ts';
import { throttled, unavailable } from '../support/azure/faults.ts';
import { sampleDetails, sampleIncidents, sampleName, sampleRuleName } from '../support/azure/sample-incidents.ts';
import { startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { manualClock } from '../support/manual-clock.ts';
import { secretCredential, testTokens } from './support.ts';

const defaultLimitMs = 60_000;

/** Pauses between tries take no time; the limit of a try is as it is. `pauses` has what would have been waited. */
function hastyClock(limitMs: number): { readonly clock: Clock; readonly pauses: readonly number[] } {
  const pauses: number[] = [];
  const setTimer: Clock['setTimer'] = (delayMs, fn) => {
    if (delayMs === limitMs) return systemClock.setTimer(delayMs, fn);
    pauses.push(delayMs);
    return systemClock.setTimer(1, fn);
  };
  return { clock: { now: systemClock.now, setTimer }, pauses };
}

interface Setup {
  readonly emulator: Emulator;
  readonly incidents: Incidents;
  readonly pauses: readonly number[];
  readonly retries: readonly Retry[];
}

interface SetupOptions {
  readonly count?: number;
  readonly credential?: (emulator: Emulator) => CredentialConfig;
  readonly workspaceSuffix?: string;
  readonly maxAttempts?: number;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

async function setUp(t: TestContext, options: SetupOptions = {}): Promise<Setup> {
  const emulator = await startTestEmulator(t);
  const source = sampleIncidents({ count: options.count ?? 7, workspaceId: emulator.workspaceResourceId });
  emulator.setIncidents(source);
  emulator.setIncidentDetails(sampleDetails(source));
  const credential = options.credential?.(emulator) ?? secretCredential(emulator);
  const { tokens } = testTokens(t, emulator, { scope: resourceManagerScope(clouds.public), credential });
  const { clock, pauses } = hastyClock(defaultLimitMs);
  const retries: Retry[] = [];
  const incidents = createIncidents({
    origin: emulator.origin,
    workspaceId: `${emulator.workspaceResourceId}${options.workspaceSuffix ?? ''}`,
    credential,
    tokens,
    clock: options.clock ?? clock,
    proxy: null,
    random: () => 0,
    maxAttempts: options.maxAttempts ?? 4,
    ...(options.signal !== undefined && { signal: options.signal }),
    onRetry: (retry) => void retries.push(retry),
  });
  return { emulator, incidents, pauses, retries };
}

const oldestFirst: IncidentQuery = { filter: null, order: 'asc', pageSize: 3 };

async function numbers(incidents: Incidents, query: Partial<IncidentQuery> = {}): Promise<number[]> {
  const found: number[] = [];
  for await (const page of incidents.pages({ ...oldestFirst, ...query })) {
    found.push(...page.incidents.map(({ resource }) => Number(Object(resource['properties'])['incidentNumber'])));
  }
  return found;
}

async function failure(run: Promise<unknown>): Promise<ArmError> {
  const error: unknown = await run.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ArmError, String(error));
  return error;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

function listQueries(emulator: Emulator): string[] {
  return emulator.requests.filter(({ kind }) => kind === 'incidents').map(({ query }) => query ?? '');
}

describe('pages of incidents', () => {
  test('are all read, each link as it came, with the tokens that only survive so', async (t) => {
    const { emulator, incidents } = await setUp(t);
    assert.deepEqual(await numbers(incidents), upTo(7));
    const [first = '', ...links] = listQueries(emulator);
    assert.match(first, /^api-version=2025-09-01&\$orderby=properties%2FcreatedTimeUtc%20asc&\$top=3$/);
    assert.equal(links.length, 2);
    for (const link of links) assert.match(link, /^api-version=2025-09-01&\$skipToken=H4sIA[A-Za-z0-9+/=_'-]+$/);
    assert.deepEqual(await numbers(incidents, { order: 'desc', pageSize: 100 }), upTo(7).reverse());
  });

  test('that overlap and that are empty give each incident once', async (t) => {
    const { emulator, incidents } = await setUp(t);
    emulator.setPagingOddities({ repeated: 2, emptyPages: true });
    assert.deepEqual(await numbers(incidents), upTo(7));
  });

  test('that link to one read before end with an error and not never', async (t) => {
    const { emulator, incidents } = await setUp(t);
    emulator.setPagingOddities({ repeatLink: true });
    const error = await failure(numbers(incidents));
    assert.equal(error.code, 'paging_broken');
    assert.equal(listQueries(emulator).length, 2);
  });

  test('that lead to another host are not followed: the token stays here', async (t) => {
    for (const foreignOrigin of [
      'https://evil.invalid',
      'https://localhost:1',
      'http://localhost',
      'https://user:pw@localhost',
      'nonsense',
      '//evil.invalid',
    ]) {
      const { emulator, incidents } = await setUp(t);
      emulator.setPagingOddities({ foreignOrigin });
      const error = await failure(numbers(incidents));
      assert.equal(error.code, 'paging_broken', foreignOrigin);
      assert.equal(listQueries(emulator).length, 1);
    }
  });

  test('whose $top is taken for the end of the list do not end it', async (t) => {
    const { emulator, incidents } = await setUp(t);
    emulator.setPagingOddities({ topEndsList: true });
    assert.deepEqual(await numbers(incidents), upTo(7));
    assert.deepEqual(await numbers(incidents, { order: 'desc' }), upTo(7).reverse());
    assert.deepEqual(await numbers(incidents, { filter: 'properties/incidentNumber le 6' }), upTo(6));
  });

  test('that are no pages are an error', async (t) => {
    const { emulator, incidents } = await setUp(t);
    for (const body of ['<h1>Sign in</h1>', '[]', '{}', '{"value":{}}', '{"value":[{}]}', '{"value":[1]}', '']) {
      emulator.plan({ target: 'incidents', answer: { type: 'status', status: 200, body } });
      assert.equal((await failure(numbers(incidents))).code, 'answer_unreadable', body);
    }
    emulator.plan({ target: 'incidents', answer: { type: 'status', status: 200, body: { value: [], nextLink: 7 } } });
    assert.equal((await failure(numbers(incidents))).code, 'paging_broken');
  });
});

describe('a question to Resource Manager', () => {
  const passing: [string, FaultAnswer][] = [
    ['429', throttled(0)],
    ['503', unavailable()],
    ['500', { type: 'status', status: 500 }],
    ['a connection that is cut before the answer', { type: 'reset' }],
    ['a connection that is cut in the answer', { type: 'reset', at: 'half_body' }],
  ];
  for (const [what, answer] of passing) {
    test(`is asked again after ${what}`, async (t) => {
      const { emulator, incidents, retries } = await setUp(t);
      emulator.plan({ target: 'incidents', answer, times: 3 });
      assert.deepEqual(await numbers(incidents), upTo(7));
      assert.equal(retries.length, 3);
      assert.equal(emulator.remainingPlan.length, 0);
    });
  }

  test('waits for as long as Retry-After says, in seconds or as a date, but not for ever', async (t) => {
    const { emulator, incidents, pauses } = await setUp(t);
    emulator.plan(
      { target: 'incidents', answer: throttled(17) },
      { target: 'incidents', answer: throttled(999_999) },
      { target: 'incidents', answer: unavailable(new Date(Date.now() + 120_000).toUTCString()) },
    );
    await numbers(incidents);
    assert.deepEqual(pauses.slice(0, 2), [17_000, 900_000]);
    assert.ok(Math.abs((pauses[2] ?? 0) - 120_000) < 60_000, String(pauses[2]));
  });

  test('is given up after so many tries, and says why', async (t) => {
    const { emulator, incidents } = await setUp(t);
    emulator.plan({ target: 'incidents', answer: throttled(1), times: 'forever' });
    const error = await failure(numbers(incidents));
    assert.deepEqual([error.code, error.status], ['azure_unavailable', 429]);
    assert.equal(listQueries(emulator).length, 4);
    assert.match(error.message, /429 \(TooManyRequests/);
  });

  test('that hangs is cut off, at the head and in the body', async (t) => {
    for (const at of ['start', 'half_body'] as const) {
      const clock = manualClock();
      const { emulator, incidents } = await setUp(t, { clock });
      emulator.plan({ target: 'incidents', answer: { type: 'hang', at } });
      const found = numbers(incidents);
      await emulator.waitFor(({ requests }) => requests.some(({ outcome }) => outcome === 'hung'));
      clock.advance(defaultLimitMs);
      // It waits before it asks again.
      await eventually(() => {
        clock.advance(1_000);
        return listQueries(emulator).length > 1;
      });
      assert.deepEqual(await found, upTo(7));
    }
  });

  test('that a token is refused for is asked once more with a fresh one', async (t) => {
    const { emulator, incidents } = await setUp(t);
    const found: number[] = [];
    for await (const page of incidents.pages(oldestFirst)) {
      found.push(page.incidents.length);
      emulator.revokeTokens();
    }
    assert.deepEqual(found, [3, 3, 1]);
    const states = emulator.requests.filter(({ kind }) => kind === 'incidents').map(({ tokenState }) => tokenState);
    assert.deepEqual(states, ['valid', 'unknown', 'valid', 'unknown', 'valid']);
  });

  test('ends at once when it is aborted, while it waits and while it runs', async (t) => {
    for (const answer of [throttled(600), { type: 'hang' } as const]) {
      const controller = new AbortController();
      const { emulator, incidents } = await setUp(t, { signal: controller.signal, clock: systemClock });
      emulator.plan({ target: 'incidents', answer, times: 'forever' });
      const failed = failure(numbers(incidents));
      await emulator.waitFor(() => listQueries(emulator).length > 0);
      controller.abort();
      assert.equal((await failed).code, 'aborted');
    }
  });

  test('is not led elsewhere by a redirect', async (t) => {
    const { emulator, incidents } = await setUp(t);
    const headers = { location: `${emulator.origin}/elsewhere` };
    emulator.plan({ target: 'incidents', answer: { type: 'status', status: 307, headers } });
    assert.equal((await failure(numbers(incidents))).code, 'azure_refused');
    assert.ok(emulator.requests.every(({ kind }) => kind !== 'other'));
  });
});

describe('what is wrong in Azure or here is told with what to do', () => {
  type Fault = [string, (setup: Setup) => void, Partial<IncidentQuery>, string, RegExp, RegExp];
  const faults: Fault[] = [
    [
      'no role',
      ({ emulator }) => emulator.setReaderRole(false),
      {},
      'role_missing',
      /403 \(AuthorizationFailed: .*'Microsoft\.SecurityInsights\/incidents\/read'/,
      /AZURE_CLIENT_ID 22222222-.* the role "Microsoft Sentinel Reader" on the workspace .*--scope "\/subscriptions\/3333/,
    ],
    [
      'Sentinel not enabled',
      ({ emulator }) => emulator.setSentinelEnabled(false),
      {},
      'sentinel_not_enabled',
      /400 \(BadRequest: Workspace 'law-sentinel' is not onboarded/,
      /Add Microsoft Sentinel to the workspace law-sentinel/,
    ],
    ...([400, 409] as const).map(
      (status): Fault => [
        `a resource provider that the subscription has not registered (${status})`,
        ({ emulator }) => {
          const message =
            "The subscription is not registered to use namespace 'Microsoft.SecurityInsights'. See https://aka.ms/rps-not-found for how to register subscriptions.";
          const body = { error: { code: 'MissingSubscriptionRegistration', message } };
          emulator.plan({ target: 'incidents', answer: { type: 'status', status, body } });
        },
        {},
        'provider_not_registered',
        /MissingSubscriptionRegistration/,
        /`az provider register --namespace Microsoft\.SecurityInsights --subscription 3333[\da-f-]+ --wait`/,
      ],
    ),
    ...(['InvalidApiVersionParameter', 'NoRegisteredProviderFound'] as const).map(
      (code): Fault => [
        `a version of the API that is not known there (${code})`,
        ({ emulator }) => {
          const body = { error: { code, message: 'The supported versions are others.' } };
          emulator.plan({ target: 'incidents', answer: { type: 'status', status: 400, body } });
        },
        {},
        'api_version_refused',
        new RegExp(`400 \\(${code}: The supported versions are others`),
        /does not offer the api-version .*AZURE_RESOURCE_MANAGER_ENDPOINT.*newer release/,
      ],
    ),
    ['a wrong filter', () => undefined, { filter: 'bogus eq 1' }, 'query_refused', /bogus/, /--filter/],
    [
      'a secret that has expired',
      ({ emulator }) => emulator.setClientSecretExpired(true),
      {},
      'token_refused',
      /AADSTS7000222/,
      /AZURE_CLIENT_SECRET has expired/,
    ],
    [
      'a wrong secret',
      ({ emulator }) => emulator.setClientSecret('another-secret-than-before'),
      {},
      'token_refused',
      /AADSTS7000215/,
      /AZURE_CLIENT_SECRET is wrong/,
    ],
    [
      'tokens that are never good',
      ({ emulator }) =>
        emulator.plan({ target: 'incidents', answer: { type: 'status', status: 401 }, times: 'forever' }),
      {},
      'token_rejected',
      /401/,
      /AZURE_CLOUD must be that of the workspace/,
    ],
    [
      'an answer that Azure does not give',
      ({ emulator }) => emulator.plan({ target: 'incidents', answer: { type: 'status', status: 418 } }),
      {},
      'azure_refused',
      /418/,
      /something between/,
    ],
  ];
  for (const [what, break_, query, code, reason, fix] of faults) {
    test(what, async (t) => {
      const setup = await setUp(t);
      break_(setup);
      const error = await failure(numbers(setup.incidents, query));
      assert.equal(error.code, code);
      assert.match(error.message, reason);
      assert.match(error.fix, fix);
      assert.ok(!`${error.message}${error.fix}`.includes(setup.emulator.clientSecret));
      assert.equal(setup.retries.length, 0);
    });
  }

  test('a workspace that is not there, also when one incident of it is asked for', async (t) => {
    const { incidents } = await setUp(t, { workspaceSuffix: '-other' });
    const name = sampleName(0);
    const errors = await Promise.all(
      [numbers(incidents), incidents.get(name), incidents.details({ name, resource: {} }, 'alerts')].map(failure),
    );
    for (const error of errors) {
      assert.equal(error.code, 'workspace_not_found');
      assert.match(
        error.fix,
        /^SENTINEL_WORKSPACE_ID \(now .*law-sentinel-other\) must be the resource id .*--query id/,
      );
    }
  });

  test('a host that nobody reaches', async (t) => {
    const { emulator, incidents } = await setUp(t, { maxAttempts: 2 });
    await emulator.waitFor(() => true);
    await numbers(incidents);
    await emulator.stop();
    const error = await failure(numbers(incidents));
    assert.equal(error.code, 'azure_unavailable');
    assert.match(error.message, /No answer from localhost:\d+: ECONNREFUSED/);
  });
});

describe('one incident', () => {
  test('is there with its comments, alerts and entities', async (t) => {
    const { incidents } = await setUp(t);
    const found = await incidents.get(sampleName(3));
    assert.equal(found?.name, sampleName(3));
    const sizes = await Promise.all(
      (['comments', 'alerts', 'entities'] as const).map(
        async (what) => (await incidents.details({ name: sampleName(3), resource: {} }, what))?.length,
      ),
    );
    assert.deepEqual(sizes, [3, 1, 2]);
  });

  test('that is not there is null, and so is what belongs to it', async (t) => {
    const { incidents } = await setUp(t);
    const name = sampleName(99);
    assert.deepEqual(
      await Promise.all([
        incidents.get(name),
        incidents.details({ name, resource: {} }, 'comments'),
        incidents.details({ name, resource: {} }, 'alerts'),
      ]),
      [null, null, null],
    );
  });

  test('cannot lead to another path by its name', async (t) => {
    const { emulator, incidents } = await setUp(t);
    assert.equal(await incidents.get('../../../alertRules?x=').catch(() => null), null);
    const [request] = emulator.requests.filter(({ path }) => path.includes('SecurityInsights'));
    assert.match(request?.path ?? '', /\/incidents\/\.\.\/\.\.\/\.\.\/alertRules\?x=$/);
  });

  test('has rules whose names can be asked for, as long as they are there', async (t) => {
    const { emulator, incidents } = await setUp(t);
    const rule = { name: sampleRuleName(1), properties: { displayName: 'Rule one', query: 'AponoAccessEvents()' } };
    emulator.setAlertRules([rule]);
    assert.equal(await incidents.ruleName(sampleRuleName(1)), 'Rule one');
    assert.equal(await incidents.ruleName(sampleRuleName(2)), null);
    assert.deepEqual(await incidents.alertRules(), [rule]);
  });
});
