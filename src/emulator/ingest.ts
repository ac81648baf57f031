import { randomUUID } from 'node:crypto';
import type { Call, IngestPayload } from './call.ts';
import { storedRow } from './columns.ts';
import { maxCallBytes } from './payload.ts';
import { type AzureState, storedColumns } from './state.ts';
import type { PresentedToken } from './tokens.ts';
import { azureError, type Reply } from './wire.ts';

const apiVersions = ['2023-01-01', '2021-11-01-preview'];

/** POST /dataCollectionRules/{ruleId}/streams/{stream}: the Logs Ingestion API, checks in the service's order. */
export function ingest(state: AzureState, call: Call, token: PresentedToken): Reply {
  const [, ruleId = '', , stream = ''] = call.segments;
  const refusal = refuseToken(token) ?? refuseRule(state, ruleId) ?? refuseRequest(call) ?? refusePayload(call.payload);
  if (refusal !== null) return refusal;
  const columns = storedColumns(state, stream);
  if (columns === null) {
    return azureError(
      400,
      'InvalidStream',
      `Stream '${stream}' is not configured in the data collection rule '${ruleId}'.`,
    );
  }
  if (call.payload?.type !== 'rows') return invalidPayload(call.payload);
  const receivedAt = state.clock.now();
  const rows = call.payload.rows.map((row) => storedRow(row, columns, receivedAt));
  state.store.append(stream, rows, call.payload.bytes);
  call.request.storedRowCount = rows.length;
  return { status: 204, headers: {}, body: null, errorCode: null };
}

/** Headers that each answer of the service carries. No Strict-Transport-Security: it would stick to localhost. */
export function ingestHeaders(call: Call): Record<string, string> {
  const id = call.request.clientRequestId;
  return { 'x-ms-request-id': randomUUID(), ...(id === null ? {} : { 'x-ms-client-request-id': id }) };
}

function refuseToken(token: PresentedToken): Reply | null {
  const unauthorized = (code: string, message: string): Reply =>
    azureError(401, code, message, {
      'www-authenticate': `Bearer error="invalid_token", error_description="${message}"`,
    });
  switch (token.state) {
    case 'valid':
      return null;
    case 'none':
    case 'missing':
      return azureError(401, 'InvalidToken', 'The request has no bearer token.', { 'www-authenticate': 'Bearer' });
    case 'expired':
      return unauthorized('InvalidToken', 'The access token has expired.');
    case 'wrong_audience':
      return unauthorized('InvalidAudience', `The access token is for ${token.audience}, not for Azure Monitor.`);
    case 'unknown':
    case 'revoked':
      return unauthorized('InvalidToken', 'The access token is not valid.');
  }
}

function refuseRule(state: AzureState, ruleId: string): Reply | null {
  if (!state.rulePresent || ruleId !== state.ruleId) {
    return azureError(404, 'NotFound', `Data collection rule with immutable Id '${ruleId}' not found.`);
  }
  if (state.publisherRole) return null;
  return azureError(
    403,
    'OperationFailed',
    `The authentication token provided does not have access to ingest data for the data collection rule with immutable Id '${ruleId}' PipelineAccessResult: AccessGranted: False, IsRbacPresent: False, IsDcrDceBindingValid: , DcrArmId: ${state.ruleResourceId}, Message: Required authorization action was not found for tenantId ${state.tenantId} objectId ${state.clientId} on resourceId ${state.ruleResourceId} ConfigurationId: ..`,
  );
}

function refuseRequest(call: Call): Reply | null {
  if (call.method !== 'POST') return azureError(405, 'MethodNotAllowed', `${call.method} is not allowed here.`);
  const version = call.query.get('api-version');
  if (version === null) {
    return azureError(
      400,
      'MissingApiVersionParameter',
      'The api-version query parameter is required for all requests.',
    );
  }
  if (apiVersions.includes(version)) return null;
  return azureError(400, 'UnsupportedApiVersion', `The api-version '${version}' is not supported.`);
}

function refusePayload(payload: IngestPayload | null): Reply | null {
  switch (payload?.type) {
    case 'unknown_encoding':
      return azureError(415, 'UnsupportedMediaType', `The content encoding '${payload.encoding}' is not supported.`);
    case 'too_large':
      return azureError(
        413,
        'ContentLengthLimitExceeded',
        `Maximum allowed content length: ${maxCallBytes} bytes (1 MB). Provided content length: ${payload.bytes} bytes.`,
      );
    case 'empty':
      // As recorded from the service: no body at all is a 500 whose code is null.
      return azureError(500, null, 'An internal error occurred.');
    default:
      return null;
  }
}

function invalidPayload(payload: IngestPayload | null): Reply {
  return azureError(400, 'InvalidPayload', payload?.type === 'invalid' ? payload.message : 'The body cannot be read.');
}
