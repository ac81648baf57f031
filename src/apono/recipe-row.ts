import { isJsonObject, type JsonObject } from '../ground/json.ts';

/**
 * Whether an object is a row of Apono's own Sentinel recipe (or of one that an admin extended): it carries the table's
 * TimeGenerated where an event has event_time and data.
 */
export function isRecipeRow(value: JsonObject): boolean {
  return Object.hasOwn(value, 'TimeGenerated') && !Object.hasOwn(value, 'event_time') && !isJsonObject(value['data']);
}
