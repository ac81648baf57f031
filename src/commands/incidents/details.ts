import type { Incidents } from '../../azure/incidents.ts';
import type { JsonObject } from '../../ground/json.ts';
import { type DetailedIncident, type DetailName, type Incident, property } from '../../sentinel/incidents/incident.ts';

/**
 * The incidents with what `names` says, in their order; all are asked for at once. Where the incident itself counts none,
 * nothing is asked: Resource Manager lets a caller have about ten such questions a second.
 */
export function fetchDetails(
  incidents: Incidents,
  some: readonly Incident[],
  names: readonly DetailName[],
): Promise<readonly DetailedIncident[]> {
  return allInOrder(
    some.map(async (incident) => {
      const found = await allInOrder(
        names.map(async (name) => [name, await fetchDetail(incidents, incident, name)] as const),
      );
      return { ...incident, details: Object.fromEntries(found) };
    }),
  );
}

/**
 * Like Promise.all, but of several failures the first in the order of the list is thrown, not the one that came first:
 * the same refusals are then always reported as the same error.
 */
export async function allInOrder<T>(questions: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(questions);
  return Promise.all(questions);
}

/** The same for one incident and one kind. */
export async function fetchDetail(
  incidents: Incidents,
  incident: Incident,
  what: DetailName,
): Promise<readonly JsonObject[] | null> {
  return hasNone(incident, what) ? [] : incidents.details(incident.name, what);
}

function hasNone({ resource }: Incident, what: DetailName): boolean {
  const isZero = (count: string): boolean => property(resource, 'additionalData', count) === 0;
  switch (what) {
    case 'comments':
      return isZero('commentsCount');
    case 'alerts':
      return isZero('alertsCount');
    case 'entities':
      // They come from alerts and bookmarks.
      return isZero('alertsCount') && isZero('bookmarksCount');
  }
}
