import { serviceOf } from './audiences.ts';
import type { Call } from './call.ts';
import type { AzureState } from './state.ts';
import { jsonReply, type Reply } from './wire.ts';

/** GET /msi/token: the managed identity endpoint of App Service and Container Apps, api-version 2019-08-01. */
export function managedIdentity(state: AzureState, call: Call): Reply {
  const resource = call.query.get('resource');
  const clientId = call.query.get('client_id');
  call.request.scope = resource;
  call.request.credential = 'managed_identity';
  if (call.headers['x-identity-header'] !== state.identityHeader) return refuse(401, 'The X-IDENTITY-HEADER is wrong.');
  if (call.query.get('api-version') !== '2019-08-01') return refuse(400, 'The api-version must be 2019-08-01.');
  if (resource === null || serviceOf(resource) === null) return refuse(400, `No resource principal named ${resource}.`);
  if (clientId !== null && clientId !== state.clientId) return refuse(400, `No User Assigned identity ${clientId}.`);
  const issued = state.tokens.issue({
    audience: resource,
    tenantId: state.tenantId,
    clientId: state.clientId,
    lifetimeSeconds: state.tokenLifetimeSeconds,
  });
  call.request.tokenId = issued.id;
  return jsonReply(200, {
    access_token: issued.token,
    expires_on: String(issued.expiresOn),
    resource,
    token_type: 'Bearer',
    client_id: state.clientId,
  });
}

function refuse(status: number, message: string): Reply {
  return jsonReply(status, { statusCode: status, message }, { errorCode: String(status) });
}
