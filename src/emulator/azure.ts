import { randomBytes, randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { parseExact } from '../apono/exact-json.ts';
import { isJsonArray, isJsonObject, type JsonObject } from '../ground/json.ts';
import type { Row } from '../sentinel/row.ts';
import type { Column } from '../sentinel/table.ts';

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; absent where the answer has no body at all, as with 204. */
  readonly body?: object;
}

/** A call of the Logs Ingestion API. */
export interface Upload {
  readonly ruleId: string;
  readonly stream: string;
  readonly headers: IncomingHttpHeaders;
  /** Null: the body is no JSON array of objects. */
  readonly rows: readonly JsonObject[] | null;
}

const tenantId = '11111111-1111-4111-8111-111111111111';
const clientId = '22222222-2222-4222-8222-222222222222';
const ruleId = `dcr-${'0123456789abcdef'.repeat(2)}`;
const ruleResourceId =
  '/subscriptions/33333333-3333-4333-8333-333333333333/resourceGroups/rg-sentinel/providers/Microsoft.Insights/dataCollectionRules/dcr-apono';

/**
 * Entra with one client, and one data collection rule with these streams by name (`Custom-…`). It checks what can be wrong
 * in a rehearsal: tenant, client, secret, token, rule, stream. What Azure refuses beyond that is in test/support/azure/.
 */
export function emulateAzure(streams: Readonly<Record<string, readonly Pick<Column, 'name'>[]>>) {
  const clientSecret = randomBytes(30).toString('base64url');
  const tokens = new Set<string>();
  const stored = new Map<string, readonly Row[]>();
  const arrivals = new EventEmitter();
  return {
    environment: {
      DATA_COLLECTION_RULE_ID: ruleId,
      AZURE_TENANT_ID: tenantId,
      AZURE_CLIENT_ID: clientId,
      AZURE_CLIENT_SECRET: clientSecret,
    },
    /** Emits `rows` after each arrival. */
    arrivals,
    /** What is stored of a stream, in order of arrival. Each arrival makes a new list. */
    rows: (stream: string): readonly Row[] => stored.get(stream) ?? [],
    allRows: (): readonly Row[] => [...stored.values()].flat(),

    /** GET /{tenant}/v2.0/.well-known/openid-configuration: all that MSAL looks at. */
    openid(origin: string, tenant: string): Reply {
      if (tenant !== tenantId) return entraError(400, 'invalid_request', `AADSTS90002: Tenant '${tenant}' not found.`);
      const base = `${origin}/${tenantId}`;
      const body = {
        token_endpoint: `${base}/oauth2/v2.0/token`,
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
        jwks_uri: `${base}/discovery/v2.0/keys`,
        issuer: `${base}/v2.0`,
      };
      return { status: 200, body };
    },

    /** POST /{tenant}/oauth2/v2.0/token with a client secret. */
    token(form: URLSearchParams): Reply {
      const client = form.get('client_id');
      if (client !== clientId) {
        const message = `AADSTS700016: Application with identifier '${client}' was not found in the directory '${tenantId}'.`;
        return entraError(400, 'unauthorized_client', message);
      }
      if (form.get('client_secret') !== clientSecret) {
        return entraError(401, 'invalid_client', 'AADSTS7000215: Invalid client secret provided.');
      }
      const token = randomBytes(64).toString('base64url');
      tokens.add(token);
      const body = { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: token };
      return { status: 200, body };
    },

    /** Stores the declared columns of the rows, and drops the others without an error, as Azure does. */
    ingest({ ruleId: asked, stream, headers, rows }: Upload): Reply {
      if (!tokens.has(headers.authorization?.replace(/^Bearer /, '') ?? '')) {
        return azureError(401, 'InvalidToken', 'The access token is not valid.');
      }
      if (asked !== ruleId) {
        return azureError(404, 'NotFound', `Data collection rule with immutable Id '${asked}' not found.`);
      }
      const columns = streams[stream];
      if (columns === undefined) {
        const message = `Stream '${stream}' is not configured in the data collection rule '${ruleId}'.`;
        return azureError(400, 'InvalidStream', message);
      }
      if (rows === null) return azureError(400, 'InvalidPayload', 'The body must be a JSON array of objects.');
      const kept = rows.map((row): Row => Object.fromEntries(columns.map(({ name }) => [name, row[name] ?? null])));
      stored.set(stream, [...(stored.get(stream) ?? []), ...kept]);
      arrivals.emit('rows');
      return { status: 204 };
    },
  };
}

export function readRows(body: Buffer, encoding: string | undefined): Upload['rows'] {
  try {
    const value = parseExact((encoding === 'gzip' ? gunzipSync(body) : body).toString());
    return isJsonArray(value) && value.every(isJsonObject) ? value : null;
  } catch {
    return null;
  }
}

function entraError(status: number, error: string, description: string): Reply {
  return { status, body: { error, error_description: description } };
}

/** As Azure Monitor writes it: {"error":{"code","message"}} and x-ms-error-code. */
export function azureError(status: number, code: string, message: string, headers: Reply['headers'] = {}): Reply {
  const named = { 'x-ms-error-code': code, 'x-ms-request-id': randomUUID(), ...headers };
  return { status, headers: named, body: { error: { code, message } } };
}

/** What Azure answers to a client without the role Monitoring Metrics Publisher. */
export const roleMissing = () =>
  azureError(
    403,
    'OperationFailed',
    `The authentication token provided does not have access to ingest data for the data collection rule with immutable Id '${ruleId}' PipelineAccessResult: AccessGranted: False, IsRbacPresent: False, IsDcrDceBindingValid: , DcrArmId: ${ruleResourceId}, Message: Required authorization action was not found for tenantId ${tenantId} objectId ${clientId} on resourceId ${ruleResourceId} ConfigurationId: ..`,
  );
