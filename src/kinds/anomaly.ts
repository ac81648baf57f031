import schema from '../../schemas/apono/anomaly-event.schema.json' with { type: 'json' };
import table from '../../schemas/tables/AponoAnomalies_CL.json' with { type: 'json' };
import { isJsonObject } from '../ground/json.ts';
import type { TableSchema } from '../sentinel/table.ts';
import { EventField, objectAt } from './field.ts';
import { type EventColumns, type EventToMap, TEST_ID_PREFIX, type WebhookKind } from './kind.ts';

/** The anomaly webhook. Apono documents no payload, so the row has the whole event next to the known fields. */
export const anomalyKind = {
  name: 'anomaly',
  description: 'anomalies',
  table: table as TableSchema,
  streamVariable: 'LOGS_INGESTION_STREAM_ANOMALY',
  defaultStream: `Custom-${table.name}`,
  schema,
  dataFields: [
    ...['id', 'type', 'severity', 'status', 'request_id', 'friendly_id', 'request', 'requester', 'access_flow'],
    ...['justification', 'title', 'message', 'description'],
  ],
  // Its event_type alone, since an anomaly may carry a whole request. On its own path it accepts all.
  signs: [
    { evidence: 'own_fields', onItsPath: true },
    { evidence: 'own_type', type: /anomaly/i },
  ],
  whatIsMissing: () => 'its event_type does not contain "anomaly"',
  columns,
  bodyTemplate: {
    webhook: 'Anomaly webhook',
    path: '/apono/webhook/anomaly',
    notes: [
      'Apono documents no payload of anomalies: this template asks for what such an event may have. Open "View request ' +
        'anomaly event\'s payload schema" in the form, and add the fields of that schema under "data": the whole event is ' +
        'kept in raw_event, whatever it holds.',
    ],
  },
} satisfies WebhookKind;

/** Columns, and the places in `data` where their values may be, best first. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  anomaly_type: ['anomaly_type', 'anomaly.type', 'type'],
  severity: ['severity', 'anomaly.severity'],
  status: ['status', 'anomaly.status'],
  summary: ['title', 'message', 'description', 'anomaly.title', 'anomaly.message', 'anomaly.description'],
  request_friendly_id: ['request_friendly_id', 'friendly_id', 'request.friendly_id', 'access_request.friendly_id'],
  requester_id: ['requester_id', ...inRequest('requester.id')],
  requester_name: ['requester_name', ...inRequest('requester.name')],
  requester_email: ['requester_email', ...inRequest('requester.email')],
  access_flow_id: ['access_flow_id', ...inRequest('access_flow.id')],
  access_flow_name: ['access_flow_name', ...inRequest('access_flow.name')],
};

function inRequest(path: string): string[] {
  return ['', 'request.', 'access_request.'].map((prefix) => prefix + path);
}

function columns(event: EventToMap): EventColumns {
  const data = objectAt(event.data);
  const top = new EventField(data, event);
  /** The text of the first place that has one. All are read, so that each value that is not text is recorded. */
  function first(...places: readonly string[]): string | null {
    const texts = places.map((place) => {
      const field = place.split('.').reduce((at, name) => at.at(name), top);
      // A type may be an object with a name, as that of a resource is.
      const isNamed = field.name === 'type' && isJsonObject(field.value) && Object.hasOwn(field.value, 'name');
      return (isNamed ? field.at('name') : field).text();
    });
    return texts.find((text) => text !== null) ?? null;
  }
  const requestId = first('request_id', 'access_request_id', 'request.id', 'access_request.id');
  // `data.id` is the id of the request in an event that looks like a request's, otherwise that of the anomaly.
  const looksLikeRequest =
    requestId === null && ['friendly_id', 'access_groups'].some((name) => (data[name] ?? null) !== null);
  const id = first('id');
  const ids = {
    anomaly_id: first('anomaly_id', 'anomaly.id') ?? (looksLikeRequest ? null : id),
    request_id: requestId ?? (looksLikeRequest ? id : null),
  };
  return {
    shared: {
      ...Object.fromEntries(Object.entries(PLACES).map(([column, places]) => [column, first(...places)])),
      ...ids,
      raw_event: event.value,
      is_test: Object.values(ids).some((text) => text?.startsWith(TEST_ID_PREFIX)),
    },
  };
}
