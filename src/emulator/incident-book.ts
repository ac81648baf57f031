import { randomBytes } from 'node:crypto';
import { isJsonObject, type JsonObject } from '../ground/json.ts';
import type { Filter } from './odata.ts';

/** Incidents by their creation, the oldest first. They can be made when they are asked for. */
export interface IncidentSource {
  readonly count: number;
  at(index: number): JsonObject;
  find(name: string): JsonObject | null;
}

export interface IncidentDetail {
  readonly comments: readonly JsonObject[];
  readonly alerts: readonly JsonObject[];
  readonly entities: readonly JsonObject[];
}

/** What Azure has been seen to do, or might; all off by default. */
export interface PagingOddities {
  /** Each page but the first begins with so many incidents of the one before. */
  readonly repeated?: number;
  /** An empty page with a link comes before each page but the first. */
  readonly emptyPages?: boolean;
  /** From the second page on each links to the second. */
  readonly repeatLink?: boolean;
  /** The second page is said to be at this origin. */
  readonly foreignOrigin?: string;
  /** No page is larger, whatever `$top` says. */
  readonly largestPage?: number;
  /** `$top` ends the list: a full page has no link. */
  readonly topEndsList?: boolean;
}

/** Where a link leads: on in the same question. */
export interface Continuation {
  readonly offset: number;
  readonly pageSize: number;
  readonly isDescending: boolean;
  readonly filter: Filter;
  readonly page: number;
  /** This one is empty, and links to the page that it stands before. */
  readonly isEmpty: boolean;
}

const maxTokens = 10_000;

/** What the emulated Sentinel holds. */
export class IncidentBook {
  isEnabled = true;
  source: IncidentSource = listed([]);
  rules: readonly JsonObject[] = [];
  oddities: PagingOddities = {};
  detailOf: (name: string) => IncidentDetail = () => ({ comments: [], alerts: [], entities: [] });
  readonly #tokens = new Map<string, Continuation>();

  /** A token that survives only if nobody decodes, encodes or normalises it: with + / = - _ and a quote. */
  issue(continuation: Continuation): string {
    const token = `H4sIA${randomBytes(48).toString('base64')}+/-_'${randomBytes(10).toString('base64')}`;
    this.#tokens.set(token, continuation);
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size <= maxTokens) break;
      this.#tokens.delete(oldest);
    }
    return token;
  }

  /** `token` as it stood in the URL. */
  redeem(token: string): Continuation | null {
    return this.#tokens.get(token) ?? null;
  }
}

/** Incidents from a list, sorted by their creation. */
export function listed(incidents: readonly JsonObject[]): IncidentSource {
  const sorted = incidents.toSorted((a, b) => (createdAt(a) < createdAt(b) ? -1 : Number(createdAt(a) > createdAt(b))));
  return {
    count: sorted.length,
    at: (index) => sorted[index] ?? {},
    find: (name) => sorted.find((one) => String(one['name']).toLowerCase() === name.toLowerCase()) ?? null,
  };
}

function createdAt(incident: JsonObject): string {
  const properties = incident['properties'];
  return isJsonObject(properties) ? String(properties['createdTimeUtc'] ?? '') : '';
}
