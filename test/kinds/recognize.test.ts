import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import Handlebars from 'handlebars';
import { eventId } from '../../src/apono/event.ts';
import type { JsonObject } from '../../src/ground/json.ts';
import { understand } from '../../src/intake/understand.ts';
import { isFilled } from '../../src/kinds/blank-template.ts';
import { templateText, testEvent } from '../../src/kinds/body-template.ts';
import type { WebhookKind } from '../../src/kinds/kind.ts';
import { recognize } from '../../src/kinds/recognize.ts';
import { kinds } from '../../src/kinds/registry.ts';
import { anomalyEvent, requestInside } from './anomaly-bodies.ts';
import { auditData, auditEvent, documentedAuditTemplate } from './audit-bodies.ts';
import { documentedIntegrationTemplate, integrationData, integrationEvent } from './integration-bodies.ts';
import { documentedRecipe } from './request-bodies.ts';

/** Name of the kind, or the code of the refusal. */
function kindOf(value: object, path: string | null = null): string {
  const recognized = recognize(value as JsonObject, kinds, path);
  return 'kind' in recognized ? recognized.kind.name : recognized.code;
}

function problemsOf(value: object, path: string | null = null): string[] {
  const recognized = recognize(value as JsonObject, kinds, path);
  assert.ok('problems' in recognized, 'it was recognised');
  return recognized.problems.map((problem) => `${problem.path} ${problem.message}`);
}

const event = (type: string, data: unknown) => ({ event_type: type, event_time: 1763719200, data });
const recipe = { TimeGenerated: '1763719200', event_type: 'RequestGranted', requester_name: 'Zoë', justification: 'x' };
const { metadata: _, current_target_object: __, previous_target_object: ___, ...plainAudit } = auditData;
const { issues: ____, ...withoutIssues } = integrationData;
const bare = { id: 'req-1' };

const actions = ['Created', 'Approved', 'Rejected', 'Granted', 'Expired', 'Failed', 'Manual'];
const requestTypes = actions.flatMap((action) => [action, `Request${action}`, `AccessRequest${action}`]);
const states = ['Initializing', 'Refreshing', 'Active', 'Error', 'Warning', 'Disabled'];

describe('on /apono/webhook, a body is of the kind that its content says', () => {
  const cases: Readonly<Record<string, readonly (readonly [string, object])[]>> = {
    request: [
      ['a recipe row', recipe],
      ['a recipe row with columns of its own', { ...recipe, action: 'x', status: 'y', severity: 'z' }],
      ['a request that nothing is said of', event('RequestGranted', {})],
      ['an unknown type and no data', event('Never heard of it', {})],
      ['an unknown type and an id', event('SomethingElse', { id: 'x' })],
      ['an unknown type with fields of a request', event('Escalated', requestInside)],
      ['data that is null', event('RequestGranted', null)],
      ['fields that nobody knows', event('Granted', { ...bare, surprise: { deep: [1] } })],
      ['unknown fields named as those of audit events', event('RequestGranted', { ...requestInside, action: 'x' })],
      ['a short type and such a field', event('Granted', { ...requestInside, action: 'x', source: 'API' })],
      [
        'unknown fields named as those of integrations',
        event('Created', { ...requestInside, status: 'Active', name: 'n', type: 't', issues: [] }),
      ],
      [
        'the same of an unknown type',
        event('Odd', { ...requestInside, status: 'Active', name: 'n', type: 't', issues: [] }),
      ],
      ['a severity', event('AccessRequestApproved', { ...requestInside, severity: 'High' })],
      ['the request of an access flow’s manual step', event('Manual', requestInside)],
      ['a status, under the long name of the type', event('RequestFailed', { ...bare, status: 'Failed' })],
    ],
    audit: [
      ['the documented fields', event('AccessFlowUpdated', auditData)],
      ['an empty type', event('', auditData)],
      ...requestTypes.map((type) => [`the type ${type}`, event(type, auditData)] as const),
      ['a type that says anomaly', event('AnomalyDismissed', auditData)],
      ['no target objects', event('IntegrationCreated', plainAudit)],
      [
        'blanks beside an actor',
        event('x', { ...Object.fromEntries(Object.keys(auditData).map((key) => [key, ''])), actor_id: 'zoe' }),
      ],
      ['an action, an actor, and no more', event('x', { action: 'delete', actor_id: 'zoe@example.com' })],
      ['the same under a short type', event('Created', { action: 'create', actor_id: 'zoe@example.com' })],
      ['fields of an integration beside its own', event('x', { ...auditData, ...integrationData })],
    ],
    anomaly: [
      ['a whole request in it', anomalyEvent(requestInside)],
      ['a request beside it', anomalyEvent({ severity: 'High', request: requestInside })],
      ['data that is text', anomalyEvent('text')],
      ['data that is null', anomalyEvent(null)],
      ['no data to speak of', anomalyEvent({})],
      ['another case', anomalyEvent({ id: 'x' }, 'ANOMALY_DETECTED')],
      ['fields of an integration', anomalyEvent({ id: 'x', name: 'n', type: 't', status: 'Active' })],
    ],
    integration: [
      ['the documented fields', event('IntegrationStatusChanged', integrationData)],
      ['an empty list of issues', event('x', { ...integrationData, issues: [] })],
      ['issues that are null', event('x', { ...integrationData, issues: null })],
      ['issues as text', event('x', { ...integrationData, issues: '[object Object]' })],
      ...states.map((status) => [`no issues, and ${status}`, event('x', { ...withoutIssues, status })] as const),
      ['no issues, and a state in another case', event('x', { ...withoutIssues, status: 'ERROR' })],
      ...actions.map((type) => [`the type ${type}`, event(type, integrationData)] as const),
      ['a field that nobody knows', event('x', { ...integrationData, category: 'db' })],
      ['some of the fields', event('x', { name: 'n', issues: [] })],
    ],
  };
  for (const [kind, bodies] of Object.entries(cases)) {
    for (const [what, body] of bodies) it(`${kind}: ${what}`, () => assert.equal(kindOf(body), kind));
  }
});

describe('what could be of two kinds is refused, and told where to send it', () => {
  const cases: readonly (readonly [string, object, RegExp])[] = [
    [
      'the type and the fields of a request, and all of an audit event',
      event('AccessRequestApproved', { ...requestInside, ...auditData }),
      /request and audit: send it to \/apono\/webhook\/request or \/apono\/webhook\/audit/,
    ],
    [
      'the type of a request, and too little of an audit event',
      event('AccessRequestApproved', { action: 'approve', actor_id: 'zoe@example.com' }),
      /request and audit/,
    ],
    ['the type of a request, and an integration', event('RequestFailed', integrationData), /request and integration/],
    ['some of both', event('x', { justification: 'x', action: 'edit', actor_name: 'Zoë' }), /request and audit/],
  ];
  for (const [what, body, message] of cases) {
    it(what, () => {
      assert.equal(kindOf(body), 'ambiguous_kind');
      assert.match(problemsOf(body).join('\n'), message);
    });
  }

  it('which its own path then settles', () => {
    const both = event('AccessRequestApproved', { ...requestInside, ...auditData });
    for (const kind of ['request', 'audit']) assert.equal(kindOf(both, kind), kind);
    assert.equal(kindOf(both, 'integration'), 'kind_mismatch');
  });
});

describe('what no kind knows is refused, with what each of them misses', () => {
  const cases: readonly (readonly [string, object])[] = [
    ['nothing', {}],
    ['no data', { event_type: 'RequestGranted', event_time: 1 }],
    ['no event_time', { event_type: 'RequestGranted', data: requestInside }],
    ['members of nobody', event('Somebody.Logged.In', { ip: '192.0.2.1', user: 'zoe' })],
    [
      'an anomaly that does not call itself one',
      event('HighRiskRequest', { id: 'x', severity: 'High', request_id: 'r' }),
    ],
    ['the same with a state', event('HighRisk', { id: 'x', name: 'n', type: 't', status: 'Active', severity: 'High' })],
    ['an integration in an unknown state without issues', event('Failed', { ...withoutIssues, status: 'Unwell' })],
    ['a type alone that integrations may have too', event('Failed', { name: 'orders', status: 'x' })],
    ['an action and nobody who did it', event('x', { action: 'edit', ip: '192.0.2.1' })],
    ['data that is text', event('x', 'text')],
  ];
  for (const [what, body] of cases) {
    it(what, () => {
      assert.equal(kindOf(body), 'unknown_kind');
      const problems = problemsOf(body).join('\n');
      for (const { name } of kinds) assert.match(problems, new RegExp(`is no event of kind ${name}: it`));
    });
  }

  it('names the members that are missing', () => {
    const problems = problemsOf({ event_type: 'x' });
    assert.equal(problems.length, kinds.length);
    for (const problem of problems) assert.match(problem, /it has no event_time, data$/);
    const unknown = problemsOf(event('x', { ip: '192.0.2.1' })).join('\n');
    assert.match(unknown, /audit: it has no data\.action/);
    assert.match(unknown, /anomaly: its event_type does not contain "anomaly"/);
    assert.match(unknown, /integration: it has no data\.id, data\.name, data\.type, data\.status/);
    assert.match(unknown, /request: its event_type is none of a request/);
  });

  it('never quotes what it holds', () => {
    const value = event('s3cret-type', { note: 's3cret-value' });
    assert.doesNotMatch(problemsOf(value).join('\n'), /s3cret/);
  });

  it('says of a body without event_type but with a request that a manual webhook cannot be answered', () => {
    for (const path of [null, 'request', 'anomaly']) {
      const problems = problemsOf({ data: { requester: { email: 'zoe@example.com' }, justification: 'x' } }, path);
      assert.match(problems[0] ?? '', /^\/event_type is missing\. A manual webhook, which asks for a decision/);
    }
    for (const other of [{ request_id: 'r', user: 'zoe@example.com' }, { data: { ip: 1 } }, { data: 'text' }]) {
      const problems = problemsOf(other);
      assert.equal(problems[0], '/event_type is missing');
      assert.doesNotMatch(problems.join('\n'), /manual/i);
    }
    assert.doesNotMatch(problemsOf(event('x', { ip: 1 })).join('\n'), /manual/);
    assert.doesNotMatch(problemsOf(recipe, 'audit').join('\n'), /manual/);
  });
});

describe('a path that names a kind takes that kind alone', () => {
  const documented: Readonly<Record<string, object>> = {
    request: event('AccessRequestCreated', requestInside),
    audit: event('AccessFlowUpdated', auditData),
    anomaly: anomalyEvent({ severity: 'High' }),
    integration: event('IntegrationStatusChanged', integrationData),
  };
  for (const [kind, body] of Object.entries(documented)) {
    for (const path of Object.keys(documented)) {
      const expected = path === kind || path === 'anomaly' ? path : 'kind_mismatch';
      it(`${kind} on /apono/webhook/${path}: ${expected}`, () => assert.equal(kindOf(body, path), expected));
    }
  }

  it('and says where a mismatch belongs', () => {
    const body = event('AccessFlowUpdated', auditData);
    assert.match(problemsOf(body, 'integration').join(), /no event of kind integration: .*; it is one of kind audit/);
    assert.match(
      problemsOf(body, 'request').join(),
      /it is one of kind audit, which belongs to \/apono\/webhook\/audit/,
    );
    assert.match(problemsOf(event('x', { ip: 1 }), 'audit').join(), /no event of kind audit: it has no data\.action$/);
    // Blank fields speak for no kind, and are no reason to say nothing against it.
    const blank = event('Created', { justification: '', action: 'x' });
    assert.match(problemsOf(blank, 'request').join(), /no event of kind request: it has no data\.requester/);
  });

  it('a recipe row belongs to requests, and is no anomaly', () => {
    assert.equal(kindOf(recipe, 'request'), 'request');
    for (const path of ['audit', 'anomaly', 'integration']) assert.equal(kindOf(recipe, path), 'kind_mismatch');
  });

  it('events under a short or a blank type are no requests by their path', () => {
    for (const type of ['', 'Created', 'Failed']) {
      for (const data of [auditData, integrationData]) {
        assert.equal(kindOf(event(type, data), 'request'), 'kind_mismatch');
      }
    }
  });

  it('a request is no integration by its path, whatever unknown fields it has', () => {
    const body = event('Granted', { ...requestInside, name: 'n', type: 't', status: 'Active', issues: [] });
    assert.equal(kindOf(body, 'integration'), 'kind_mismatch');
  });

  it('an integration with what only its path can tell is one there', () => {
    const body = event('x', { ...integrationData, severity: 'High' });
    assert.equal(kindOf(body), 'unknown_kind');
    assert.equal(kindOf(body, 'integration'), 'integration');
  });

  it('a missing optional field keeps no event of its kind away', () => {
    for (const [kind, body] of Object.entries(documented)) {
      const { data, ...others } = body as { readonly data: JsonObject };
      const names = Object.keys(data).filter((name) => name !== 'id');
      fc.assert(
        fc.property(fc.subarray(names, { minLength: 1 }), (kept) => {
          const left = Object.fromEntries(['id', ...kept].map((name) => [name, data[name] ?? null]));
          assert.equal(kindOf({ ...others, data: left }, kind), kind);
        }),
      );
    }
    assert.equal(kindOf(event('IntegrationError', { id: '1', name: 'n', type: 't' }), 'integration'), 'integration');
    const { action: _gone, ...withoutAction } = auditData;
    assert.equal(kindOf(event('x', withoutAction)), 'audit');
  });

  it('but fields of another kind do, where no kind is recognised', () => {
    assert.equal(kindOf(event('x', { id: '1', type: 't', severity: 'High' }), 'integration'), 'kind_mismatch');
    assert.equal(kindOf(event('x', { id: '1' }), 'integration'), 'kind_mismatch');
  });

  it('/anomaly takes any object with event_type, event_time and data, and no other', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), fc.object(), (type, time, data, more) => {
        const body = { ...more, event_type: type, event_time: time, data };
        assert.equal(kindOf(body, 'anomaly'), 'anomaly');
        for (const name of ['event_type', 'event_time', 'data'] as const) {
          const { [name]: _gone, ...less } = body;
          assert.equal(kindOf(less, 'anomaly'), 'kind_mismatch');
        }
      }),
    );
  });

  it('a kind that there is not is a mismatch, as after a downgrade', () => {
    assert.equal(kindOf(event('AccessRequestCreated', requestInside), 'session'), 'kind_mismatch');
  });
});

describe('a template in the webhook of another kind is refused, and named', () => {
  const wholeAnomaly = anomalyEvent({
    ...{ id: 'an-1', type: 'SuddenRequest', severity: 'High', status: 'Open', title: 'Odd', request: { id: 'r-1' } },
    ...{ requester: requestInside.requester, access_flow: requestInside.access_flow },
  });
  const events: Record<string, readonly JsonObject[]> = {
    request: [
      event('AccessRequestGranted', { ...requestInside, creation_date: 1, approvals: [{ name: 'x' }] }) as JsonObject,
      event('Created', { ...requestInside, creation_date: 1 }) as JsonObject,
    ],
    audit: [auditEvent()],
    anomaly: [wholeAnomaly],
    integration: [integrationEvent(), { ...integrationEvent(), event_type: 'Failed' }],
  };
  for (const kind of kinds) events[kind.name] = [...(events[kind.name] ?? []), testEvent(kind.name, 1.79e12, 'x')];

  const templates: readonly (readonly [kind: string, what: string, text: string])[] = [
    ...kinds.flatMap(({ name, bodyTemplate }) => [
      [name, 'ours', templateText(name)] as const,
      ...(bodyTemplate.eachNotes === undefined ? [] : [[name, 'with #each', templateText(name, true)] as const]),
    ]),
    ['request', 'the recipe of Apono', documentedRecipe],
    ['audit', 'that of Apono', documentedAuditTemplate],
    ['integration', 'that of Apono', documentedIntegrationTemplate],
  ];

  async function understood(body: string, path: string | null) {
    const bytes = Buffer.from(body);
    const streams = Object.fromEntries(kinds.map(({ name, defaultStream }) => [name, defaultStream]));
    const log = { error: (_fields: object, message: string) => assert.fail(message) };
    return await understand({ bytes, feed: null, kind: path }, 0, { kinds, streams, escaping: 'auto', log });
  }

  for (const [templateKind, what, template] of templates) {
    for (const [eventKind, ofKind] of Object.entries(events)) {
      const isRight = templateKind === eventKind;
      it(`the template of kind ${templateKind} (${what}) in the webhook of kind ${eventKind}: ${isRight ? 'taken' : '422'}`, async () => {
        for (const one of ofKind) {
          for (const unquote of [false, true]) {
            const rendered = Handlebars.compile(unquote ? template.replace(/"(\{\{event_time\}\})"/, '$1') : template)(
              one,
            );
            for (const path of [null, eventKind]) {
              const result = await understood(rendered, path);
              const found = 'events' in result ? result.events[0]?.entry.kind : result.code;
              assert.equal(found, isRight ? eventKind : 'blank_template', rendered);
              if (!('code' in result)) continue;
              const [problem] = result.errors;
              const named = kinds.find(({ name }) => name === templateKind)?.bodyTemplate.webhook ?? '';
              assert.ok(
                problem?.message.includes(what.includes('recipe') ? "Apono's recipe" : named),
                problem?.message,
              );
            }
          }
        }
      });
    }
  }

  it('three blank fields of the audit log under the type of a request', async () => {
    const data = { action: '', actor_id: '', target_type: '' };
    const body = JSON.stringify({ event_type: 'AccessRequestGranted', event_time: '1790000101', data });
    for (const path of [null, 'request', 'audit']) {
      const result = await understood(body, path);
      assert.ok('code' in result && result.code === 'blank_template');
      assert.match(result.errors[0]?.message ?? '', /template of the Audit Log webhook.*template --kind request/);
    }
  });

  it('names the kind of the path where the event says nothing of its own, and never one that nothing speaks for', async () => {
    for (const { name } of kinds) {
      const rendered = Handlebars.compile(templateText(name))({
        event_type: 'Odd',
        event_time: 1.79e9,
        data: {},
      });
      for (const path of [null, ...kinds.map((kind) => kind.name)]) {
        const result = await understood(rendered, path);
        assert.ok('code' in result && result.code === 'blank_template', rendered);
        const { message = '' } = result.errors[0] ?? {};
        const named = /Enter there that of .*template --kind (\w+)/.exec(message)?.[1] ?? null;
        assert.equal(named, path === name ? null : path, message);
        assert.equal(/Apono filled in none of its fields/.test(message), path === name, message);
      }
    }
  });

  it('takes fields that an admin added to the template, in the webhook of its own kind alone', async () => {
    const template = templateText('anomaly').replace('"title":', '"risk": "{{data.risk}}", "title":');
    const render = (type: string) =>
      Handlebars.compile(template)({ event_type: type, event_time: 1.79e9, data: { risk: 'x' } });
    for (const type of ['HighRiskAccess', 'RequestAnomaly', 'AccessRequestGranted']) {
      const result = await understood(render(type), 'anomaly');
      assert.equal('events' in result ? result.events[0]?.entry.kind : result.detail, 'anomaly', type);
    }
    for (const path of [null, 'request', 'audit', 'integration']) {
      const result = await understood(render('HighRiskAccess'), path);
      assert.ok('code' in result && result.code === 'blank_template');
    }
    assert.ok('events' in (await understood(render('RequestAnomaly'), null)));
  });

  it('but an event of the template’s own kind may have any of its fields blank, and all but its id', async () => {
    for (const { name } of kinds) {
      const template = Handlebars.compile(templateText(name));
      const [full] = events[name] ?? [];
      const data = full?.['data'] as JsonObject;
      for (const field of Object.keys(data)) {
        const result = await understood(template({ ...full, data: { ...data, [field]: null } }), null);
        assert.equal('events' in result && result.events[0]?.entry.kind, name, `${name} without ${field}`);
      }
    }
    const [granted] = events['request'] ?? [];
    const onlyId = Handlebars.compile(templateText('request'))({ ...granted, data: { id: 'r-1' } });
    const result = await understood(onlyId, null);
    assert.equal('events' in result && result.events[0]?.entry.kind, 'request');
  });

  it('and fields that an admin added to a template may be blank, whatever their names', async () => {
    const added = { name: '', type: '', status: '', action: '', severity: '', title: '' };
    const body = event('AccessRequestGranted', { ...requestInside, ...added });
    const result = await understood(JSON.stringify({ ...body, event_time: '1763719200' }), null);
    assert.equal('events' in result && result.events[0]?.entry.kind, 'request');
  });
});

describe('what holds an event is refused, and says where it stands', () => {
  const logzio = '{ "event_type": "AccessRequestCreated", "event_time": "1", "id": "r" }';
  const cases: readonly (readonly [what: string, body: unknown, path: string, message: RegExp])[] = [
    ['body', { body: event('AccessRequestGranted', bare) }, '/body', /holds the event\. Send that alone/],
    ['events', { events: [event('AccessRequestGranted', bare)] }, '/events', /holds the events/],
    ['two levels', { payload: { event: recipe } }, '/payload/event', /holds the event/],
    ['Logz.io', { message: logzio, type: 'Apono' }, '/message', /holds the event as text/],
    ['Datadog', [{ ddsource: 'apono', message: logzio }], '/0/message', /as text/],
    ['Coralogix', { alias: 'x', integration_type_fields: logzio }, '/integration_type_fields', /as text/],
    ['Grafana', { title: 'x', message: { shortMessage: logzio } }, '/message/shortMessage', /as text/],
    ['escaped text', { description: logzio.replaceAll('"', '&quot;') }, '/description', /as text/],
    ['nothing but the text', logzio, '', /as text/],
  ];
  for (const [what, body, path, message] of cases) {
    it(what, async () => {
      const options = { kinds, streams: {}, escaping: 'auto', log: { error: () => undefined } } as const;
      const bytes = Buffer.from(JSON.stringify(body));
      const result = await understand({ bytes, feed: null, kind: null }, 0, options);
      assert.ok('code' in result && result.code === 'wrapped_event', JSON.stringify(result));
      assert.equal(result.errors[0]?.path, path);
      assert.match(result.errors[0]?.message ?? '', message);
    });
  }
});

describe('properties', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('Active', 'Error', '', ...requestTypes));
  const value = fc.oneof(text, fc.jsonValue());
  const documented = {
    request: fc.record({
      ...{ id: value, friendly_id: value, requester: value, grantee: value, justification: value },
      ...{ creation_date: value, revocation_date: value, access_flow: value, access_bundle: value },
      ...{ access_groups: value, approvals_logical_relation: value, approvals: value, custom_fields: value },
    }),
    audit: fc.record(Object.fromEntries(Object.keys(auditData).map((name) => [name, value]))),
    integration: fc.record({ id: value, name: value, type: value, status: value, issues: value }),
  };
  const types = fc.oneof(fc.string(), fc.constantFrom(...requestTypes)).filter((type) => !/anomaly/i.test(type));
  const shortTypes = types.filter((type) => !/request/i.test(type));

  for (const [kind, data] of Object.entries(documented)) {
    it(`the documented fields of kind ${kind} are claimed by no other with equal evidence, whatever they hold`, () => {
      fc.assert(
        // That an integration's event is called as a request's is what nobody can tell apart: see above.
        fc.property(kind === 'integration' ? shortTypes : types, data, (type, fields) => {
          // Of an event without any filled field but the id nobody can tell whose template made it.
          fc.pre(isFilled(fields as JsonObject, Object.keys(fields)));
          assert.equal(kindOf(event(type, fields)), kind);
        }),
        { numRuns: 300 },
      );
    });
  }

  it('the registry’s order does not matter', () => {
    const reversed: readonly WebhookKind[] = [...kinds].reverse();
    const any = fc.oneof(...Object.values(documented), fc.object(), fc.jsonValue());
    fc.assert(
      fc.property(fc.oneof(types, fc.constant('Anomaly')), any, any, (type, a, b) => {
        const mixed = { ...(a as object), ...(b as object) };
        const body = event(type, mixed) as JsonObject;
        const [one, other] = [recognize(body, kinds, null), recognize(body, reversed, null)];
        assert.deepEqual('kind' in one ? one.kind.name : one.code, 'kind' in other ? other.kind.name : other.code);
      }),
    );
  });

  it('the same body has another identity in each kind', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (body) => {
        assert.equal(new Set(kinds.map(({ name }) => eventId(name, body as JsonObject))).size, kinds.length);
      }),
    );
  });
});
