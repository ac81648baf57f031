import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readHuntingQueries } from './detections.ts';
import type { Row } from './run/table.ts';
import { textOf } from './run/values.ts';
import type { Fields } from './samples/events.ts';
import {
  access,
  actor,
  audit,
  beats,
  instant,
  person,
  requests,
  type Step,
  seconds,
  shown,
  test,
} from './samples/hunting.ts';
import { runOnRows } from './samples/run-on-rows.ts';
import type { Samples } from './samples/script.ts';

/* The hunting queries on rows that the service makes of webhooks, through the real functions. Results worked out by hand. */

const now = '2026-11-10T12:00:00.000000Z';
const queries = readHuntingQueries();
const run = new Set<string>();

/** The chosen columns of the result, one line of text a row. */
function result(name: string, samples: Samples, columns: readonly string[]): readonly string[] {
  const hunting = queries.find(({ file }) => file === `${name}.yaml`);
  assert.ok(hunting !== undefined);
  run.add(hunting.file);
  const line = (row: Row) => columns.map((column) => textOf(row[column] ?? null)).join(' | ');
  return runOnRows(hunting.query, samples, now).map(line);
}

describe('hunting queries on the audit log', () => {
  const change = (target: string, before: Fields, after: Fields): Fields & { readonly time: string } => ({
    ...actor('Ana'),
    time: '02T09:00',
    action: 'Edited',
    target_name: target,
    previous_target_object: before,
    current_target_object: after,
  });

  it('AccessFlowApproverPolicyWeakened: a policy that is gone or shorter, a safeguard that is off', () => {
    const policy = { approver_groups: ['leads', 'owners'] };
    const samples = audit(
      change('gone', { approver_policy: policy }, { approver_policy: null }),
      change('shorter', { approver_policy: policy }, { approver_policy: { approver_groups: ['leads'] } }),
      change('longer', { approver_policy: { approver_groups: ['leads'] } }, { approver_policy: policy }),
      change('off', { settings: { require_mfa: true } }, { settings: { require_mfa: false } }),
      change('on', { settings: { require_mfa: false } }, { settings: { require_mfa: true } }),
      change('of something else', { name: 'a' }, { name: 'b' }),
    );
    assert.deepEqual(
      result('AccessFlowApproverPolicyWeakened', samples, [
        'target_name',
        'PolicyRemoved',
        'PolicyShorter',
        'SafeguardsOff',
        'ActorName',
      ]).toSorted(),
      [
        'gone | true | true | [] | ana',
        'off | false | false | ["require_mfa"] | ana',
        'shorter | false | true | [] | ana',
      ],
    );
  });

  it('AccessFlowOpenedToEverybody: first the flows that have no filter any more', () => {
    const filters = (...names: readonly string[]): Fields => ({ grantees: { attribute_filters: [...names] } });
    const samples = audit(
      change('fewer', filters('team', 'shift'), filters('team')),
      change('none', filters('team'), filters()),
      change('gone', filters('team'), {}),
      change('more', filters('team'), filters('team', 'shift')),
      change('the same', filters('team'), filters('team')),
    );
    const found = result('AccessFlowOpenedToEverybody', samples, ['target_name', 'OpenToEverybody', 'Shorter']);
    assert.deepEqual(found.slice(0, 2).toSorted(), ['gone | true | true', 'none | true | true']);
    assert.deepEqual(found.slice(2).toSorted(), ['fewer | false | true', 'more | false | false']);
  });

  it('AuditActionsSeen: the rarest first, and how many actors', () => {
    const edited = { action: 'Edited', target_type: 'access flow' };
    const samples = audit(
      { time: '02T09:00', ...edited, ...actor('Ana') },
      { time: '02T10:00', ...edited, ...actor('Bo') },
      { time: '02T11:00', ...edited, ...actor('Bo') },
      { time: '03T09:00', action: 'Deleted', target_type: 'webhook', ...actor('Ana') },
    );
    assert.deepEqual(
      result('AuditActionsSeen', samples, ['action', 'target_type', 'EventCount', 'ActorCount', 'FirstAt', 'LastAt']),
      [
        `Deleted | webhook | 1 | 1 | ${shown('03T09:00')} | ${shown('03T09:00')}`,
        `Edited | access flow | 3 | 2 | ${shown('02T09:00')} | ${shown('02T11:00')}`,
      ],
    );
  });

  it('AuditChangesByNewActor: within the last seven days for the first time, also from a new source', () => {
    const samples = audit(
      { time: '01T09:00', action: 'Edited', source: 'web', ...actor('Ana') },
      { time: '09T09:00', action: 'Edited', source: 'web', ...actor('Ana') },
      { time: '08T09:00', action: 'Edited', source: 'API', ...actor('Ana') },
      { time: '09T09:00', action: 'Created', source: 'web', ...actor('Bo') },
    );
    assert.deepEqual(result('AuditChangesByNewActor', samples, ['Actor', 'source', 'FirstAt', 'EventCount']), [
      `bo@example.com | web | ${shown('09T09:00')} | 1`,
      `ana@example.com | API | ${shown('08T09:00')} | 1`,
    ]);
  });

  it('AuditDeletionsAndDeactivations: what speaks of taking away, the latest first', () => {
    const samples = audit(
      { time: '02T09:00', action: 'FlowDeleted', ...actor('Ana') },
      { time: '02T10:00', action: 'Edited', ...actor('Ana') },
      { time: '02T11:00', action: 'Disabled', ...actor('Bo') },
    );
    assert.deepEqual(result('AuditDeletionsAndDeactivations', samples, ['action', 'ActorName']), [
      'Disabled | bo',
      'FlowDeleted | ana',
    ]);
  });
});

describe('hunting queries on requests', () => {
  it('ApproverPairs: four of five approvals for one person; three of five, and four alone, are not enough', () => {
    const granted = (who: string, approver: string, index: number): Step => ({
      action: 'Granted',
      time: `02T09:0${index}`,
      data: {
        id: `${who}-${approver}-${index}`,
        ...person(who),
        approvals: [{ status: 'Approved', approver: { email: `${approver}@example.com` } }],
      },
    });
    const times = (count: number, who: string, approver: string) =>
      Array.from({ length: count }, (_, index) => granted(who, approver, index));
    const samples = requests(
      ...times(4, 'Ana', 'bo'),
      ...times(1, 'Eve', 'bo'),
      ...times(3, 'Ana', 'carl'),
      ...times(2, 'Eve', 'carl'),
      ...times(4, 'Ana', 'dan'),
    );
    assert.deepEqual(
      result('ApproverPairs', samples, ['Approver', 'Requester', 'PairApprovals', 'AllApprovals', 'LastAt']),
      [`bo@example.com | ana@example.com | 4 | 5 | ${shown('02T09:03')}`],
    );
  });

  it('DormantUserAsksAgain: after thirty days, not after twenty-nine, and not for the first time', () => {
    const asked = (who: string, time: string): Step => ({ action: 'Created', time, data: person(who) });
    const samples = requests(
      asked('Ana', '10-03T09:00'),
      asked('Ana', '02T09:00'),
      asked('Bo', '10-04T09:00'),
      asked('Bo', '02T09:00'),
      asked('Carl', '02T09:00'),
      asked('Dan', '10-03T09:00'),
      { action: 'Created', time: '02T10:00', data: { ...person('Dan'), ...test } },
    );
    assert.deepEqual(
      result('DormantUserAsksAgain', samples, ['RequesterKey', 'DaysSilent', 'OccurredAt', 'BeforeAt']),
      [`ana@example.com | 30 | ${shown('02T09:00')} | ${shown('10-03T09:00')}`],
    );
  });

  it('ExtendedAccess: an end that moved after the grant, not one that the grant itself moved', () => {
    const step = (id: string, action: string, time: string, end: string): Step => ({
      action,
      time,
      data: { id, friendly_id: id, revocation_date: seconds(end) },
    });
    const samples = requests(
      // Approved slowly: Apono counts the end from the grant.
      step('slow', 'Created', '02T09:00', '02T10:00'),
      step('slow', 'Approved', '02T09:40', '02T10:00'),
      step('slow', 'Granted', '02T09:40', '02T10:40'),
      step('slow', 'Expired', '02T10:41', '02T10:45'),
      step('extended', 'Created', '02T09:00', '02T10:00'),
      step('extended', 'Granted', '02T09:10', '02T10:10'),
      step('extended', 'Other', '02T10:00', '02T12:10'),
      step('shortened', 'Granted', '02T09:10', '02T10:10'),
      step('shortened', 'Granted', '02T09:20', '02T09:30'),
      step('never granted', 'Created', '02T09:00', '02T10:00'),
      step('never granted', 'Created', '02T09:30', '02T11:00'),
    );
    assert.deepEqual(
      result('ExtendedAccess', samples, ['request_id', 'FirstAt', 'FirstEnd', 'LastEnd', 'MovedBy', 'RequesterUpn']),
      [
        `extended | ${shown('02T09:10')} | ${shown('02T10:10')} | ${shown('02T12:10')} | 7200.0000000 s | ana@example.com`,
      ],
    );
  });

  it('JustificationEmptyOrShort: fewer than ten characters, blanks at the ends aside', () => {
    const asked = (who: string, justification: string): Step => ({
      action: 'Created',
      time: '02T09:00',
      data: { ...person(who), justification },
    });
    const samples = requests(
      asked('Ana', ''),
      asked('Ana', '  please     '),
      asked('Bo', '.'),
      asked('Carl', 'INC-123456'),
      { ...asked('Dan', ''), data: { ...person('Dan'), ...test } },
    );
    assert.deepEqual(
      result('JustificationEmptyOrShort', samples, ['RequesterKey', 'RequestCount', 'EmptyCount', 'Reasons']),
      ['ana@example.com | 2 | 1 | ["","please"]', 'bo@example.com | 1 | 0 | ["."]'],
    );
  });

  it('LateEvents: more than an hour late, in the gap, or ahead of their arrival', () => {
    const late = (time: string, arrived: string): Step => ({ action: 'Created', time, arrived });
    const samples = requests(
      late('02T09:00', '02T09:30'),
      late('02T09:00', '02T11:00'),
      late('02T09:00', '04T08:30'),
      late('02T09:00', '05T09:00'),
      late('02T09:00', '02T08:50'),
    );
    assert.deepEqual(
      result('LateEvents', samples, ['request_friendly_id', 'Delay', 'InTheGap', 'Ahead', 'TimeWasReplaced']),
      [
        'AR-3 | 259200.0000000 s | false | false | true',
        'AR-2 | 171000.0000000 s | true | false | false',
        'AR-1 | 7200.0000000 s | false | false | false',
        'AR-4 | -600.0000000 s | false | true | false',
      ],
    );
  });

  it('LongestAccess: by the duration, or by the planned end where none was sent', () => {
    const granted = (data: Fields): Step => ({ action: 'Granted', time: '02T09:00', data });
    const samples = requests(
      granted({ access_duration_in_seconds: 3600 }),
      granted({ revocation_date: seconds('03T09:00') }),
      granted({}),
      { action: 'Created', time: '02T09:00', data: { access_duration_in_seconds: 999_999 } },
    );
    assert.deepEqual(result('LongestAccess', samples, ['request_friendly_id', 'Duration']), [
      'AR-1 | 86400.0000000 s',
      'AR-0 | 3600.0000000 s',
    ]);
  });

  it('RarePermission: of at most two people, a grant of several resources counted once', () => {
    const granted = (who: string, permission: string, ...resources: readonly string[]): Step => ({
      action: 'Granted',
      time: '02T09:00',
      data: { ...person(who), ...access(permission, ...resources) },
    });
    const samples = requests(
      granted('Ana', 'ADMIN', 'orders'),
      granted('Ana', 'ADMIN', 'invoices'),
      granted('Bo', 'OWNER', 'orders', 'invoices'),
      ...['Ana', 'Bo', 'Carl'].map((who) => granted(who, 'SELECT', 'orders')),
    );
    assert.deepEqual(result('RarePermission', samples, ['permission', 'PersonCount', 'GrantCount', 'Persons']), [
      'OWNER | 1 | 1 | ["bo@example.com"]',
      'ADMIN | 1 | 2 | ["ana@example.com"]',
    ]);
  });

  it('RequesterOutsideExpectedDomains: one of twenty-one requests is below five per cent, one of twenty is not', () => {
    const asked = (who: string, domain: string): Step => ({
      action: 'Created',
      time: '02T09:00',
      data: person(who, domain),
    });
    const usual = Array.from({ length: 19 }, (_, index) => asked(`u${index}`, 'example.com'));
    const columns = ['RequesterUpn', 'RequesterUpnSuffix'];
    const stranger = asked('Eve', 'example.org');
    assert.deepEqual(result('RequesterOutsideExpectedDomains', requests(...usual, stranger), columns), []);
    assert.deepEqual(
      result('RequesterOutsideExpectedDomains', requests(...usual, asked('u19', 'EXAMPLE.com'), stranger), columns),
      ['eve@example.org | example.org'],
    );
  });

  it('StandingAccess: the same access five times, by days', () => {
    const granted = (who: string, time: string): Step => ({
      action: 'Granted',
      time,
      data: { ...person(who), ...access('SELECT', 'orders') },
    });
    const samples = requests(
      ...['02T09:00', '02T15:00', '03T09:00', '04T09:00', '04T15:00'].map((time) => granted('Ana', time)),
      ...['02T09:00', '03T09:00', '04T09:00', '05T09:00'].map((time) => granted('Bo', time)),
    );
    assert.deepEqual(result('StandingAccess', samples, ['Person', 'resource_name', 'GrantCount', 'DayCount']), [
      'ana@example.com | orders | 5 | 3',
    ]);
  });
});

describe('hunting queries on heartbeats', () => {
  it('QuarantineAndDeadLetters: the most of each hour that had any', () => {
    const samples = beats(
      { instance: 'a', time: '02T09:00' },
      { instance: 'a', time: '02T10:00', quarantined: 1, oldest_waiting_seconds: 30 },
      { instance: 'a', time: '02T10:45', quarantined: 3 },
      { instance: 'b', time: '02T11:00', dead: 2 },
    );
    assert.deepEqual(
      result('QuarantineAndDeadLetters', samples, ['Hour', 'instance', 'Quarantined', 'Dead', 'OldestWaitingSeconds']),
      [`${shown('02T11:00')} | b | 0 | 2 | `, `${shown('02T10:00')} | a | 3 | 0 | 30`],
    );
  });

  it('UnauthorizedCalls: what the counters grew by, also after a restart, not what was before the time range', () => {
    const later = instant('02T11:00');
    const samples = beats(
      { instance: 'a', time: '02T09:00', unauthorized: 50, accepted: 9 },
      { instance: 'a', time: '02T09:45', unauthorized: 53, accepted: 10 },
      { instance: 'a', time: '02T10:00', unauthorized: 53, accepted: 12 },
      { instance: 'a', time: '02T11:15', started_at: later, unauthorized: 2, accepted: 1 },
    );
    assert.deepEqual(result('UnauthorizedCalls', samples, ['Hour', 'instance', 'RefusedCalls', 'AcceptedEvents']), [
      `${shown('02T11:00')} | a | 2 | 1`,
      `${shown('02T09:00')} | a | 3 | 1`,
    ]);
  });
});

it('every hunting query was run', () => {
  assert.deepEqual(
    queries.map(({ file }) => file).filter((file) => !run.has(file)),
    [],
  );
});
