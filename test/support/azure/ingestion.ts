import { randomUUID } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { parseExact } from '../../../src/apono/exact-json.ts';
import { parseIsoTime } from '../../../src/ground/clock.ts';
import { isJsonArray, isJsonObject, type JsonValue, numberText } from '../../../src/ground/json.ts';
import type { Row } from '../../../src/sentinel/row.ts';
import type { ColumnType } from '../../../src/sentinel/table.ts';
import { azureError, type Call, type CallHead, maxCallBytes, type ReceivedBody, type Reply } from './call.ts';
import { type AzureState, type DeclaredColumn, monitorAudiences, ruleResourceId } from './core.ts';
import { presentedToken } from './entra.ts';

/** The body of a call, decompressed and parsed as far as possible. `bytes`: its size once decompressed. */
export type Payload =
  | { readonly type: 'rows'; readonly rows: readonly Row[]; readonly bytes: number }
  | { readonly type: 'empty' }
  | { readonly type: 'too_large'; readonly bytes: number }
  | { readonly type: 'unknown_encoding'; readonly encoding: string }
  | { readonly type: 'invalid'; readonly message: string };

/** Holds no more than `maxCallBytes` in memory, whatever the body inflates to. */
export function readPayload({ body, headers }: Pick<Call, 'body' | 'headers'>): Payload {
  if (body.size > maxCallBytes) return { type: 'too_large', bytes: body.size };
  if (body.size === 0) return { type: 'empty' };
  const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity') return parse(body.bytes);
  return encoding === 'gzip' ? inflate(body) : { type: 'unknown_encoding', encoding };
}

function inflate({ bytes, size }: ReceivedBody): Payload {
  try {
    return parse(gunzipSync(bytes, { maxOutputLength: maxCallBytes }));
  } catch (error) {
    const isTooLarge = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
    if (!isTooLarge) return { type: 'invalid', message: 'The body is no valid gzip data.' };
    // The last four bytes of gzip data are the inflated size: RFC 1952, 2.3.1.
    return { type: 'too_large', bytes: Math.max(bytes.readUInt32LE(size - 4), maxCallBytes + 1) };
  }
}

function parse(bytes: Buffer): Payload {
  let value: JsonValue;
  try {
    value = parseExact(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return { type: 'invalid', message: 'The body is not valid JSON in UTF-8.' };
  }
  // The real service answered 204 to a bare object and lost it (azure-docs#112669): a client must never count on that.
  if (!isJsonArray(value)) return { type: 'invalid', message: 'The body must be a JSON array of objects.' };
  const rows = value.filter(isRow);
  if (rows.length < value.length) return { type: 'invalid', message: 'Each element of the array must be an object.' };
  return { type: 'rows', rows, bytes: bytes.length };
}

function isRow(value: JsonValue): value is Row {
  return isJsonObject(value);
}

/** POST /dataCollectionRules/{ruleId}/streams/{stream}: the Logs Ingestion API, with its checks in the service's order. */
export function ingest(state: AzureState, call: Call, payload: Payload): Reply {
  const reply =
    refuseToken(state, call) ?? refuseRule(state, call) ?? refuseRequest(call) ?? store(state, call, payload);
  return { ...reply, headers: { ...serviceHeaders(call), ...reply.headers } };
}

/** Headers that each answer of the service carries. No Strict-Transport-Security: browsers would keep it for localhost. */
export function serviceHeaders({ clientRequestId: id }: CallHead): Record<string, string> {
  return { 'x-ms-request-id': randomUUID(), ...(id !== null && { 'x-ms-client-request-id': id }) };
}

function refuseToken(state: AzureState, { headers }: Call): Reply | null {
  const { state: worth, token } = presentedToken(state, headers.authorization, monitorAudiences);
  if (worth === 'valid') return null;
  if (worth === 'missing') {
    return azureError(401, 'InvalidToken', 'The request has no bearer token.', { 'www-authenticate': 'Bearer' });
  }
  const message = {
    expired: 'The access token has expired.',
    wrong_audience: `The access token is for ${token?.audience}, not for Azure Monitor.`,
    unknown: 'The access token is not valid.',
  }[worth];
  return azureError(401, worth === 'wrong_audience' ? 'InvalidAudience' : 'InvalidToken', message, {
    'www-authenticate': `Bearer error="invalid_token", error_description="${message}"`,
  });
}

function refuseRule({ ruleId, publisherRole, tenantId, clientId }: AzureState, { segments }: Call): Reply | null {
  const asked = segments[1];
  if (asked !== ruleId) {
    return azureError(404, 'NotFound', `Data collection rule with immutable Id '${asked}' not found.`);
  }
  if (publisherRole) return null;
  return azureError(
    403,
    'OperationFailed',
    `The authentication token provided does not have access to ingest data for the data collection rule with immutable Id '${ruleId}' PipelineAccessResult: AccessGranted: False, IsRbacPresent: False, IsDcrDceBindingValid: , DcrArmId: ${ruleResourceId}, Message: Required authorization action was not found for tenantId ${tenantId} objectId ${clientId} on resourceId ${ruleResourceId} ConfigurationId: ..`,
  );
}

const apiVersions = ['2023-01-01', '2021-11-01-preview'];

function refuseRequest({ method, query }: Call): Reply | null {
  if (method !== 'POST') return azureError(405, 'MethodNotAllowed', `${method} is not allowed here.`);
  const version = query.get('api-version');
  if (version === null) {
    const message = 'The api-version query parameter is required for all requests.';
    return azureError(400, 'MissingApiVersionParameter', message);
  }
  if (apiVersions.includes(version)) return null;
  return azureError(400, 'UnsupportedApiVersion', `The api-version '${version}' is not supported.`);
}

function store(state: AzureState, { segments }: Call, payload: Payload): Reply {
  const [, ruleId, , stream = ''] = segments;
  switch (payload.type) {
    case 'unknown_encoding':
      return azureError(415, 'UnsupportedMediaType', `The content encoding '${payload.encoding}' is not supported.`);
    case 'too_large': {
      const message = `Maximum allowed content length: ${maxCallBytes} bytes (1 MB). Provided content length: ${payload.bytes} bytes.`;
      return azureError(413, 'ContentLengthLimitExceeded', message);
    }
    case 'empty':
      // As recorded from the service: no body at all is a 500 whose code is null.
      return azureError(500, null, 'An internal error occurred.');
  }
  const columns = state.streams.get(stream);
  if (columns === undefined) {
    const message = `Stream '${stream}' is not configured in the data collection rule '${ruleId}'.`;
    return azureError(400, 'InvalidStream', message);
  }
  if (payload.type === 'invalid') return azureError(400, 'InvalidPayload', payload.message);
  const receivedAt = state.clock.now();
  const rows = payload.rows.map((row) => storedRow(row, columns, receivedAt));
  state.rows.set(stream, [...(state.rows.get(stream) ?? []), ...rows]);
  return { status: 204, headers: {}, body: null };
}

const dayMs = 86_400_000;

/** "Fields longer than 64 KB are truncated": Azure Monitor service limits, Logs Ingestion API. */
const maxFieldBytes = 65_536;

/**
 * A row as the table shows it: all declared columns and no others. A value that is missing or of another type is null:
 * Microsoft does not document what Azure does with the latter, but null has been seen, and it is the strictest.
 * `receivedAt` is in milliseconds since the epoch.
 */
function storedRow(sent: Row, columns: readonly DeclaredColumn[], receivedAt: number): Row {
  const stored: Record<string, JsonValue> = { TimeGenerated: timeGenerated(sent['TimeGenerated'], receivedAt) };
  for (const { name, type } of columns) {
    if (name !== 'TimeGenerated') stored[name] = Object.hasOwn(sent, name) ? coerce(sent[name], type) : null;
  }
  return stored;
}

/** Azure puts the time of arrival in place of one more than two days old or one day ahead (log-standard-columns). */
function timeGenerated(sent: JsonValue | undefined, receivedAt: number): JsonValue {
  const time = typeof sent === 'string' ? (parseIsoTime(sent) ?? Number.NaN) : Number.NaN;
  const isKept = time >= receivedAt - 2 * dayMs && time <= receivedAt + dayMs;
  return isKept ? coerce(sent, 'datetime') : new Date(receivedAt).toISOString();
}

const takes: Readonly<Record<ColumnType, (value: JsonValue) => boolean>> = {
  string: (value) => typeof value === 'string',
  int: (value) => isWhole(value, 32),
  long: (value) => isWhole(value, 64),
  boolean: (value) => typeof value === 'boolean',
  datetime: (value) => typeof value === 'string' && parseIsoTime(value) !== null,
  dynamic: () => true,
};

/** Cuts between two characters. A dynamic value that has been cut is no longer JSON, so that it becomes text. */
function coerce(value: JsonValue | undefined, type: ColumnType): JsonValue {
  if (value === undefined || value === null || !takes[type](value)) return null;
  const text = type === 'string' ? String(value) : JSON.stringify(value);
  if (Buffer.byteLength(text) <= maxFieldBytes) return value;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(maxFieldBytes));
  return text.slice(0, read);
}

function isWhole(value: JsonValue, bits: number): boolean {
  const digits = numberText(value) ?? '';
  return /^-?\d{1,40}$/.test(digits) && BigInt.asIntN(bits, BigInt(digits)) === BigInt(digits);
}
