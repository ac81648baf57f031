import { isJsonArray, type JsonObject, type JsonValue, objectsOf } from '../ground/json.ts';
import { allOf } from '../sentinel/incidents/filter.ts';
import { type DetailName, type Incident, property, readIncident, textAt } from '../sentinel/incidents/incident.ts';
import { type ArmClientOptions, armPath, createArmClient } from './arm-client.ts';
import { ArmError } from './arm-error.ts';

/** The latest stable one; NRT rules are in preview versions only. */
const apiVersion = '2025-09-01';
/** The most that one call gives. https://learn.microsoft.com/azure/sentinel/sentinel-service-limits */
export const maxPageSize = 1_000;
const maxBarrenPages = 1_000;

export interface IncidentQuery {
  /** OData, not encoded; null: all. */
  readonly filter: string | null;
  /** By creation. `asc` is stable while incidents are made: they come at the end. */
  readonly order: 'asc' | 'desc';
  /** 1 to 1,000. */
  readonly pageSize: number;
}

export type Incidents = ReturnType<typeof createIncidents>;

/** Sentinel's incidents, read. Every method rejects with an ArmError. Needs the role Microsoft Sentinel Reader. */
export function createIncidents(options: ArmClientOptions & { readonly workspaceId: string }) {
  const { origin, workspaceId } = options;
  const ask = createArmClient(options);

  function urlOf(...segments: readonly string[]): string {
    const path = `${armPath(workspaceId)}/providers/Microsoft.SecurityInsights`;
    return `${origin}${path}/${segments.map(encodeURIComponent).join('/')}?api-version=${apiVersion}`;
  }

  function listUrl({ filter, order, pageSize }: IncidentQuery, after: string | null): string {
    const bound = after === null ? null : `properties/createdTimeUtc ${order === 'asc' ? 'ge' : 'le'} ${after}`;
    const narrowed = allOf([filter, bound]);
    const filtered = narrowed === null ? '' : `&$filter=${encodeURIComponent(narrowed)}`;
    const ordered = `&$orderby=${encodeURIComponent(`properties/createdTimeUtc ${order}`)}`;
    return `${urlOf('incidents')}${filtered}${ordered}&$top=${pageSize}`;
  }

  async function all(url: string, what: string): Promise<readonly JsonObject[]> {
    const pages = await Array.fromAsync(walk(url, what, objectsOf));
    return pages.flatMap(({ items }) => items);
  }

  /** Follows the links, each as it came, and to no other host. `readItems` gives null for what is no list of `what`. */
  async function* walk<T>(
    first: string,
    what: string,
    readItems: (items: readonly JsonValue[]) => readonly T[] | null,
  ) {
    const seen = new Set<string>();
    let url = first;
    for (;;) {
      seen.add(url);
      const { items, next, answeredAtMs } = await ask({ url, what }, ({ value, nextLink }, answeredAtMs) => {
        const items = isJsonArray(value) ? readItems(value) : null;
        return items && { items, next: nextLink ?? '', answeredAtMs };
      });
      if (typeof next !== 'string') throw broken('the link to the next page is no text');
      yield { items, answeredAtMs };
      if (next === '') return;
      if (seen.has(next)) throw broken('a page links to one that was read already');
      const link = URL.parse(next);
      if (link?.origin !== origin || link.username !== '' || link.password !== '') {
        throw broken(`a page links to ${link?.origin ?? 'something that is no URL'}, which must not get the token`);
      }
      url = next;
    }
  }

  return {
    /** All pages, one when it is asked for; at least one. An incident that was on a page before is left out. */
    async *pages(query: IncidentQuery) {
      const names = new Set<string>();
      let barren = 0;
      let after: string | null = null;
      for (;;) {
        let createdAt: string | null = null;
        for await (const { items, answeredAtMs } of walk(listUrl(query, after), 'the incidents', readIncidents)) {
          createdAt = items.length >= query.pageSize ? createdAtOf(items.at(-1)) : null;
          const incidents = items.filter(({ name }) => {
            const isKnown = names.has(name.toLowerCase());
            names.add(name.toLowerCase());
            return !isKnown;
          });
          barren = incidents.length === 0 ? barren + 1 : 0;
          if (barren > maxBarrenPages) throw broken(`${barren} pages in a row held no further incident`);
          yield { incidents, answeredAtMs };
        }
        // Azure may take `$top` for the size of a page or for the end of the list. After a full page without a link, the
        // rest is asked for by the time of its last incident: where there is none, this costs one question.
        if (createdAt === null || createdAt === after) return;
        after = createdAt;
      }
    },

    get: (name: string): Promise<Incident | null> =>
      unlessMissing(ask({ url: urlOf('incidents', name), what: `the incident ${name}` }, readIncident)),

    /**
     * Null: there is no such incident any more. Where the incident itself counts none, nothing is asked: Resource Manager
     * lets a caller have about ten such questions a second.
     */
    async details(incident: Incident, what: DetailName): Promise<readonly JsonObject[] | null> {
      if (counts[what].every((count) => property(incident.resource, 'additionalData', count) === 0)) return [];
      const url = urlOf('incidents', incident.name, what);
      const asked = `the ${what} of the incident ${incident.name}`;
      if (what === 'comments') return unlessMissing(all(url, asked));
      const member = what === 'alerts' ? 'value' : 'entities';
      return unlessMissing(ask({ method: 'POST', url, what: asked }, (json) => objectsOf(json[member])));
    },

    /** Name of an analytics rule as the portal shows it; null where there is none, or no longer. */
    async ruleName(name: string): Promise<string | null> {
      const rule = await unlessMissing(
        ask({ url: urlOf('alertRules', name), what: `the rule ${name}` }, (json) => json),
      );
      return rule && textAt(rule, 'displayName');
    },

    /** The analytics rules of the workspace, but for those of kind NRT. */
    alertRules: () => all(urlOf('alertRules'), 'the analytics rules'),
  };
}

/** Members of `additionalData`. Entities come from alerts and bookmarks. */
const counts = {
  comments: ['commentsCount'],
  alerts: ['alertsCount'],
  entities: ['alertsCount', 'bookmarksCount'],
} as const;

/** `The Resource 'Microsoft.OperationalInsights/workspaces/x' under resource group 'y' was not found.` and the like. */
const aboutWorkspace =
  /SubscriptionNotFound|ResourceGroupNotFound|'Microsoft\.OperationalInsights\/workspaces\/[^'/]+'/i;

async function unlessMissing<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    const isMissing = error instanceof ArmError && error.status === 404 && error.code === 'workspace_not_found';
    if (isMissing && !aboutWorkspace.test(error.message)) return null;
    throw error;
  }
}

function readIncidents(items: readonly JsonValue[]): readonly Incident[] | null {
  const incidents = items.map(readIncident);
  return incidents.every((one) => one !== null) ? incidents : null;
}

/** As Azure wrote it, since a Date has three decimals and Azure's times have seven. */
function createdAtOf(incident: Incident | undefined): string | null {
  const text = textAt(incident?.resource ?? {}, 'createdTimeUtc') ?? '';
  return /^[\d:TZ.+-]+$/.test(text) ? text : null;
}

const pagingFix = 'Try again. If it goes on, look at what answers in place of Azure, and ask Azure support.';
const broken = (what: string) => new ArmError('paging_broken', `The list of pages is broken: ${what}.`, pagingFix);
