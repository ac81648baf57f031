import { azureError, type Call, jsonReply, type Reply } from './call.ts';
import { type DeclaredColumn, ruleResourceId } from './core.ts';
import { presentedToken } from './entra.ts';
import { type FakeAzure, managementAudiences, tableOf, workspaceResourceId } from './state.ts';

export type Action =
  | 'Microsoft.Insights/dataCollectionRules/read'
  | 'Microsoft.OperationalInsights/workspaces/tables/read'
  | 'Microsoft.SecurityInsights/incidents/read'
  | 'Microsoft.SecurityInsights/incidents/comments/read'
  | 'Microsoft.SecurityInsights/alertRules/read';

/** GET of the data collection rule by its ARM id. */
export function rule(state: FakeAzure, call: Call): Reply {
  const id = `/${call.segments.join('/')}`;
  const refusal = refuse(state, call, { scope: id, action: 'Microsoft.Insights/dataCollectionRules/read' });
  if (refusal !== null) return refusal;
  if (!state.rulePresent || !sameId(id, ruleResourceId)) {
    return notFound('Microsoft.Insights/dataCollectionRules', id);
  }
  return jsonReply(200, {
    id: ruleResourceId,
    name: ruleResourceId.split('/').at(-1),
    type: 'Microsoft.Insights/dataCollectionRules',
    location: 'westeurope',
    kind: 'Direct',
    properties: ruleProperties(state, call.origin),
  });
}

function ruleProperties(state: FakeAzure, origin: string): object {
  return {
    immutableId: state.ruleId,
    endpoints: { logsIngestion: origin },
    streamDeclarations: Object.fromEntries(
      [...state.declared].map(([stream, columns]) => [
        stream,
        { columns: columns.map(({ name, type }) => ({ name, type })) },
      ]),
    ),
    destinations: { logAnalytics: [{ workspaceResourceId: workspaceResourceId, name: 'sentinel' }] },
    dataFlows: [...state.declared.keys()].map((stream) => ({
      streams: [stream],
      destinations: ['sentinel'],
      transformKql: state.transforms.get(stream) ?? 'source',
      outputStream: `Custom-${tableOf(stream)}`,
    })),
    provisioningState: 'Succeeded',
  };
}

/** GET of one of the workspace's tables. */
export function table(state: FakeAzure, call: Call): Reply {
  const id = `/${call.segments.join('/')}`;
  const scope = workspaceResourceId;
  const refusal = refuse(state, call, { scope, action: 'Microsoft.OperationalInsights/workspaces/tables/read' });
  if (refusal !== null) return refusal;
  const wanted = [...state.tables].find(([name]) => sameId(id, `${scope}/tables/${name}`));
  if (wanted === undefined) return notFound('Microsoft.OperationalInsights/workspaces/tables', id);
  const [name, columns] = wanted;
  return jsonReply(200, {
    id: `${scope}/tables/${name}`,
    name,
    type: 'Microsoft.OperationalInsights/workspaces/tables',
    properties: {
      plan: 'Analytics',
      retentionInDays: 90,
      totalRetentionInDays: 90,
      provisioningState: 'Succeeded',
      schema: {
        name,
        tableType: 'CustomLog',
        tableSubType: 'DataCollectionRuleBased',
        columns: columns.map(tableColumn),
        standardColumns: [{ name: 'TenantId', type: 'guid', isDefaultDisplay: false, isHidden: false }],
      },
    },
  });
}

/** A table spells the type `dateTime` where a stream declaration spells it `datetime`. */
function tableColumn({ name, type }: DeclaredColumn): object {
  return { name, type: type === 'datetime' ? 'dateTime' : type, isDefaultDisplay: false, isHidden: false };
}

/** What stands before every answer of Resource Manager: the version, the token and the role. */
export function refuse(
  state: FakeAzure,
  call: Call,
  { scope, action }: { scope: string; action: Action },
): Reply | null {
  const refusal = refuseVersion(call.query.get('api-version'), action) ?? refuseToken(state, call);
  if (refusal !== null || state.readerRole) return refusal;
  return azureError(
    403,
    'AuthorizationFailed',
    `The client '${state.clientId}' with object id '${state.clientId}' does not have authorization to perform action '${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
  );
}

/** Stable versions by the beginning of an action. */
const versions: readonly (readonly [type: string, supported: readonly string[]])[] = [
  ['Microsoft.Insights/dataCollectionRules', ['2021-04-01', '2022-06-01', '2023-03-11', '2024-03-11']],
  [
    'Microsoft.OperationalInsights/workspaces/tables',
    ['2022-10-01', '2023-09-01', '2025-02-01', '2025-07-01', '2026-03-01'],
  ],
  [
    'Microsoft.SecurityInsights/',
    ['2021-10-01', '2022-11-01', '2023-02-01', '2023-11-01', '2024-03-01', '2024-09-01', '2025-06-01', '2025-09-01'],
  ],
];

/** One that no provider has is invalid; one that only another provider has finds no provider. */
function refuseVersion(version: string | null, action: Action): Reply | null {
  if (version === null || version === '') {
    return azureError(
      400,
      'MissingApiVersionParameter',
      'The api-version query parameter (?api-version=) is required for all requests.',
    );
  }
  const supported = versions.find(([type]) => action.startsWith(type))?.[1] ?? [];
  if (supported.includes(version)) return null;
  const listing = supported.join(', ');
  if (!versions.some(([, others]) => others.includes(version))) {
    const message = `The api-version '${version}' is invalid. The supported versions are '${listing}'.`;
    return azureError(400, 'InvalidApiVersionParameter', message);
  }
  const type = action.split('/').slice(1, -1).join('/');
  const message = `No registered resource provider found for location 'westeurope' and API version '${version}' for type '${type}'. The supported api-versions are '${listing}'. The supported locations are 'westeurope'.`;
  return azureError(400, 'NoRegisteredProviderFound', message);
}

function refuseToken(state: FakeAzure, { headers }: Call): Reply | null {
  const presented = presentedToken(state, headers.authorization, managementAudiences);
  const unauthorized = (code: string, message: string): Reply =>
    azureError(401, code, message, {
      'www-authenticate': `Bearer error="invalid_token", error_description="${message}"`,
    });
  switch (presented.state) {
    case 'valid':
      return null;
    case 'missing':
      return unauthorized('AuthenticationFailed', "Authentication failed. The 'Authorization' header is missing.");
    case 'expired': {
      const expiry = new Date(presented.token?.expiresAt ?? 0).toISOString();
      return unauthorized(
        'ExpiredAuthenticationToken',
        `The access token expiry UTC time '${expiry}' is earlier than now.`,
      );
    }
    case 'wrong_audience':
      return unauthorized(
        'InvalidAuthenticationTokenAudience',
        `The access token has been obtained for wrong audience or resource '${presented.token?.audience}'.`,
      );
    case 'unknown':
      return unauthorized('InvalidAuthenticationToken', 'The access token is invalid.');
  }
}

function notFound(type: string, id: string): Reply {
  const parts = id.split('/');
  const [group, name] = [parts[4], parts.at(-1)];
  return azureError(
    404,
    'ResourceNotFound',
    `The Resource '${type}/${name}' under resource group '${group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  );
}

/** ARM ids are compared without regard to case. */
function sameId(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
