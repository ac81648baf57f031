import {
  type BodyTemplate,
  EACH_NOTE,
  each,
  eachMember,
  eventTemplate,
  fields,
  repeat,
  type Tree,
} from '../body-template.ts';

/**
 * The body template to paste into Apono's request webhook. Apono renders it with Handlebars, but documents nowhere that
 * block helpers may be used, so the default template has none: it carries a fixed number of elements, and one more as a
 * probe that shows whether there are others.
 */

/** What the default template carries; its probes mark an event that has more. */
const carried = { groups: 2, unitsPerGroup: 5, approvals: 5 };

/** Without helpers, for whatever Apono allows. It lacks `data.custom_fields`, whose keys are not known. */
export function unrolledTemplate(): string {
  const { groups, unitsPerGroup, approvals } = carried;
  const group = (index: number): string => `data.access_groups.[${index}]`;
  const unit = (index: number, position: number): string => `${group(index)}.access_units.[${position}]`;
  // Several names, since any of these fields may be missing in an element that is there.
  const probe = (path: string, names: readonly string[]): string => names.map((name) => `{{${path}.${name}}}`).join('');
  const unitNames = ['resource.id', 'resource.name', 'permission.id'];
  const unitProbes = repeat(groups, (index) => probe(unit(index, unitsPerGroup), unitNames));
  const groupProbe = probe(group(groups), ['integration.id', 'integration.name', 'access_units.[0].resource.id']);
  return template({
    access_groups: repeat(groups, (index) => ({
      integration: fields(`${group(index)}.integration`, ['id', 'type', 'name']),
      access_units: repeat(unitsPerGroup, (position) => unitTree(unit(index, position))),
    })),
    approvals_logical_relation: '{{data.approvals_logical_relation}}',
    approvals: repeat(approvals, (index) => approvalTree(`data.approvals.[${index}]`)),
    units_beyond: [...unitProbes, groupProbe].join(''),
    approvals_beyond: probe(`data.approvals.[${approvals}]`, ['name', 'type', 'status']),
  });
}

/**
 * With `{{#each}}`, `{{#unless}}` and `@last`, so that it carries everything, if Apono allows them. It says `this.`
 * everywhere, since handlebars.java looks for a plain name in the surrounding objects too.
 */
export function eachTemplate(): string {
  return template({
    access_groups: each('data.access_groups', {
      integration: fields('this.integration', ['id', 'type', 'name']),
      resource_types: each('this.resource_types', fields('this', ['id', 'name', 'display_path'])),
      access_units: each('this.access_units', unitTree('this')),
    }),
    approvals_logical_relation: '{{data.approvals_logical_relation}}',
    approvals: each('data.approvals', approvalTree('this')),
    custom_fields: eachMember('data.custom_fields'),
  });
}

/**
 * What a requester typed comes first, the type and the time last. If it is not escaped and adds members of its own, the
 * template repeats them after it, and a body that has a name twice is refused (ADR 3).
 */
function template(lists: { readonly [key: string]: Tree }): string {
  return eventTemplate({
    ...fields('data', ['justification', 'id', 'friendly_id']),
    requester: fields('data.requester', ['id', 'name', 'email']),
    grantee: fields('data.grantee', ['id', 'source_id', 'name', 'type']),
    ...fields('data', ['creation_date', 'revocation_date', 'access_duration_in_seconds']),
    access_flow: fields('data.access_flow', ['id', 'name']),
    access_bundle: fields('data.access_bundle', ['id', 'name']),
    ...lists,
  });
}

function unitTree(path: string): Tree {
  return {
    resource: {
      ...fields(`${path}.resource`, ['id', 'name', 'path']),
      type: fields(`${path}.resource.type`, ['id', 'name', 'display_path']),
    },
    permission: fields(`${path}.permission`, ['id', 'name']),
  };
}

function approvalTree(path: string): Tree {
  return { ...fields(path, ['name', 'type', 'status']), approver: fields(`${path}.approver`, ['id', 'name', 'email']) };
}

export const requestTemplate: BodyTemplate = {
  webhook: 'Request webhook, HTTP',
  path: '/apono/webhook',
  triggers: ['Created', 'Approved', 'Rejected', 'Granted', 'Expired', 'Failed'].map((step) => `Request${step}`),
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
