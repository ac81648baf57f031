import { type BodyTemplate, EACH_NOTE, each, fields, indices, Raw, render, type Tree } from '../body-template.ts';

/**
 * The body template to paste into Apono's request webhook. Apono renders it with Handlebars, but documents nowhere that
 * block helpers may be used, so the default template has none: it carries a fixed number of elements, and one more as a
 * probe that shows whether there are others.
 */

interface CarriedCounts {
  readonly groups: number;
  readonly unitsPerGroup: number;
  readonly approvals: number;
}

/** What the default template carries; its probes mark an event that has more. */
const carried: CarriedCounts = { groups: 2, unitsPerGroup: 5, approvals: 5 };

/** Without helpers, for whatever Apono allows. It lacks `data.custom_fields`, whose keys are not known. */
export function unrolledTemplate(): string {
  const { groups, unitsPerGroup, approvals } = carried;
  const group = (index: number): string => `data.access_groups.[${index}]`;
  const unit = (path: string, index: number): string => `${path}.access_units.[${index}]`;
  // Several names, since any of these fields may be missing in an element that is there.
  const probe = (path: string, names: readonly string[]): string => names.map((name) => `{{${path}.${name}}}`).join('');
  const unitNames = ['resource.id', 'resource.name', 'permission.id'];
  const unitProbes = indices(groups).map((index) => probe(unit(group(index), unitsPerGroup), unitNames));
  const groupProbe = probe(group(groups), ['integration.id', 'integration.name', 'access_units.[0].resource.id']);
  const body = eventTree({
    access_groups: indices(groups).map((index) => ({
      integration: fields(`${group(index)}.integration`, ['id', 'type', 'name']),
      access_units: indices(unitsPerGroup).map((position) => unitTree(`${unit(group(index), position)}.`)),
    })),
    approvals_logical_relation: '{{data.approvals_logical_relation}}',
    approvals: indices(approvals).map((index) => approvalTree(`data.approvals.[${index}].`)),
    units_beyond: [...unitProbes, groupProbe].join(''),
    approvals_beyond: probe(`data.approvals.[${approvals}]`, ['name', 'type', 'status']),
  });
  return `${render(body, '')}\n`;
}

/**
 * With `{{#each}}`, `{{#unless}}` and `@last`, so that it carries everything, if Apono allows them. It says `this.`
 * everywhere, since handlebars.java looks for a plain name in the surrounding objects too.
 */
export function eachTemplate(): string {
  const body = eventTree({
    access_groups: each('data.access_groups', {
      integration: fields('this.integration', ['id', 'type', 'name']),
      resource_types: each('this.resource_types', fields('this', ['id', 'name', 'display_path'])),
      access_units: each('this.access_units', unitTree('this.')),
    }),
    approvals_logical_relation: '{{data.approvals_logical_relation}}',
    approvals: each('data.approvals', approvalTree('this.')),
    custom_fields: new Raw(
      '{ {{#each data.custom_fields}}"{{@key}}": "{{this}}"{{#unless @last}}, {{/unless}}{{/each}} }',
    ),
  });
  return `${render(body, '')}\n`;
}

/**
 * What a requester typed comes first, the type and the time last. If it is not escaped and adds members of its own, the
 * template repeats them after it, and a body that has a name twice is refused (ADR 3).
 */
function eventTree(lists: { readonly [key: string]: Tree }): Tree {
  return {
    data: {
      ...fields('data', ['justification', 'id', 'friendly_id']),
      requester: fields('data.requester', ['id', 'name', 'email']),
      grantee: fields('data.grantee', ['id', 'source_id', 'name', 'type']),
      ...fields('data', ['creation_date', 'revocation_date', 'access_duration_in_seconds']),
      access_flow: fields('data.access_flow', ['id', 'name']),
      access_bundle: fields('data.access_bundle', ['id', 'name']),
      ...lists,
    },
    event_type: '{{event_type}}',
    event_time: '{{event_time}}',
  };
}

/** `prefix` is the path of the unit with its dot. */
function unitTree(prefix: string): Tree {
  return {
    resource: {
      ...fields(`${prefix}resource`, ['id', 'name', 'path']),
      type: fields(`${prefix}resource.type`, ['id', 'name', 'display_path']),
    },
    permission: fields(`${prefix}permission`, ['id', 'name']),
  };
}

function approvalTree(prefix: string): Tree {
  return {
    ...fields(prefix.slice(0, -1), ['name', 'type', 'status']),
    approver: fields(`${prefix}approver`, ['id', 'name', 'email']),
  };
}

export const requestTemplate: BodyTemplate = {
  webhook: 'Request webhook, HTTP',
  path: '/apono/webhook',
  triggers: [
    'RequestCreated',
    'RequestApproved',
    'RequestRejected',
    'RequestGranted',
    'RequestExpired',
    'RequestFailed',
  ],
  plain: {
    text: unrolledTemplate,
    notes: [
      `This template needs no helpers. It carries ${carried.groups} access groups with ${carried.unitsPerGroup} access ` +
        `units each and ${carried.approvals} approvals; of a larger request the rows say units_truncated = true.`,
      'It leaves data.custom_fields out: without helpers Handlebars prints an object as "[object Object]". ' +
        '`template --each` carries them.',
    ],
  },
  each: { text: eachTemplate, notes: ['This template carries everything.', EACH_NOTE] },
};
