import { isJsonObject, isRawNumber, type JsonObject, type JsonValue, textOf, valueAt } from '../../ground/json.ts';

/** An incident as Resource Manager gave it: `resource` is its complete object. */
export interface Incident {
  /** The GUID by which Sentinel knows the incident, which is also the last part of its resource id. */
  readonly name: string;
  readonly resource: JsonObject;
}

/** What `--with` adds. Null: the incident was deleted between the list and the request for its details. */
export interface IncidentDetails {
  readonly comments?: readonly JsonObject[] | null;
  readonly alerts?: readonly JsonObject[] | null;
  readonly entities?: readonly JsonObject[] | null;
}

export type DetailName = keyof IncidentDetails;
export const detailNames: readonly DetailName[] = ['comments', 'alerts', 'entities'];

export interface DetailedIncident extends Incident {
  readonly details: IncidentDetails;
}

/** Null when the value is not an incident: it has neither a name nor an id from which to take one. */
export function readIncident(value: JsonValue): Incident | null {
  if (!isJsonObject(value)) return null;
  const name = textOf(value['name']) ?? textOf(value['id'])?.split('/').at(-1) ?? '';
  return name === '' ? null : { name, resource: value };
}

export function property(resource: JsonObject, ...path: readonly string[]): JsonValue {
  return valueAt(resource, 'properties', ...path);
}

/** Null for any other value. A number that a double cannot hold keeps its digits as text. */
export function numberOf(value: JsonValue | undefined): number | string | null {
  if (typeof value === 'number') return value;
  return isRawNumber(value) ? value.rawJSON : null;
}
