import type { ProxyConfig } from '../config/proxy.ts';
import { type Clock, systemClock } from '../ground/clock.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../ground/json.ts';
import { allOf } from '../sentinel/incidents/filter.ts';
import {
  type DetailName,
  type Incident,
  objectsOf,
  property,
  readIncident,
  textOf,
} from '../sentinel/incidents/incident.ts';
import { type Answer, ArmClient, type Retry } from './arm-client.ts';
import { type ArmContext, ArmError } from './arm-error.ts';
import { armPath } from './arm-pipeline.ts';
import type { TokenCache } from './token-cache.ts';

export type { Retry } from './arm-client.ts';
export { ArmError } from './arm-error.ts';

/** The latest stable one; NRT rules are in preview versions only. */
const apiVersion = '2025-09-01';
/** The most that one call gives. https://learn.microsoft.com/azure/sentinel/sentinel-service-limits */
export const maxPageSize = 1_000;
/** Pages in a row without an incident that was not there yet. A page may be empty, but not for ever. */
const maxBarrenPages = 1_000;

export interface IncidentsOptions extends ArmContext {
  /** For the scope `resourceManagerScope(cloud)`. Not closed here. */
  readonly tokens: TokenCache;
  /** Default: none. */
  readonly proxy?: ProxyConfig | null;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** How long one sending may take; default 60,000. */
  readonly timeLimitMs?: number;
  /** How often one question is sent at most; default 10, which is about a quarter of an hour. */
  readonly maxAttempts?: number;
  readonly signal?: AbortSignal;
  readonly onRetry?: (retry: Retry) => void;
}

export interface IncidentQuery {
  /** OData, not encoded; null: all. */
  readonly filter: string | null;
  /** By creation. `asc` is stable while incidents are made: they come at the end. */
  readonly order: 'asc' | 'desc';
  /** 1 to 1,000. */
  readonly pageSize: number;
}

export interface IncidentPage {
  /** Those that were on no page before. */
  readonly incidents: readonly Incident[];
  /** By Azure's clock. */
  readonly answeredAtMs: number;
}

/** Sentinel's incidents, read. Every method rejects with an ArmError. Needs the role Microsoft Sentinel Reader. */
export interface Incidents {
  /** All pages, one when it is asked for; at least one. */
  pages(query: IncidentQuery): AsyncGenerator<IncidentPage>;
  /** Null: there is no such incident. */
  get(name: string): Promise<Incident | null>;
  /** Null: there is no such incident any more. */
  details(name: string, what: DetailName): Promise<readonly JsonObject[] | null>;
  /** Name of an analytics rule as the portal shows it; null where there is none, or no longer. */
  ruleName(name: string): Promise<string | null>;
  /** The analytics rules of the workspace, but for those of kind NRT. */
  alertRules(): Promise<readonly JsonObject[]>;
}

export function createIncidents(options: IncidentsOptions): Incidents {
  return new RestIncidents(options);
}

class RestIncidents implements Incidents {
  readonly #client: ArmClient;
  readonly #origin: string;
  /** `https://management.azure.com/subscriptions/…/providers/Microsoft.SecurityInsights` */
  readonly #base: string;

  constructor(options: IncidentsOptions) {
    this.#origin = new URL(options.origin).origin;
    if (!this.#origin.startsWith('https://'))
      throw new TypeError(`Resource Manager must be https, is ${options.origin}`);
    this.#base = `${this.#origin}${armPath(options.workspaceId)}/providers/Microsoft.SecurityInsights`;
    this.#client = new ArmClient({
      clock: systemClock,
      random: Math.random,
      timeLimitMs: 60_000,
      maxAttempts: 10,
      ...options,
    });
  }

  async *pages(query: IncidentQuery): AsyncGenerator<IncidentPage> {
    const names = new Set<string>();
    let barren = 0;
    for await (const { items, answeredAtMs } of this.#incidentItems(query)) {
      const incidents = items.map(asIncident).filter(({ name }) => {
        const isKnown = names.has(name.toLowerCase());
        names.add(name.toLowerCase());
        return !isKnown;
      });
      barren = incidents.length === 0 ? barren + 1 : 0;
      if (barren > maxBarrenPages) throw broken(`${barren} pages in a row held no further incident`);
      yield { incidents, answeredAtMs };
    }
  }

  /**
   * Azure may take `$top` for the size of a page or for the end of the list. After a full page without a link, the rest
   * is asked for by the time of its last incident: where there is none, this costs one question.
   */
  async *#incidentItems(query: IncidentQuery): AsyncGenerator<Page> {
    let after: string | null = null;
    for (;;) {
      let createdAt: string | null = null;
      for await (const page of this.#walk(this.#listUrl(query, after), 'the incidents')) {
        createdAt = page.items.length >= query.pageSize ? createdAtOf(page.items.at(-1)) : null;
        yield page;
      }
      if (createdAt === null || createdAt === after) return;
      after = createdAt;
    }
  }

  #listUrl({ filter, order, pageSize }: IncidentQuery, after: string | null): string {
    const bound = after === null ? null : `properties/createdTimeUtc ${order === 'asc' ? 'ge' : 'le'} ${after}`;
    const narrowed = allOf([filter, bound]);
    const parts = [
      `api-version=${apiVersion}`,
      ...(narrowed === null ? [] : [`$filter=${encodeURIComponent(narrowed)}`]),
      `$orderby=${encodeURIComponent(`properties/createdTimeUtc ${order}`)}`,
      `$top=${pageSize}`,
    ];
    return `${this.#base}/incidents?${parts.join('&')}`;
  }

  async get(name: string): Promise<Incident | null> {
    const url = `${this.#incidentUrl(name)}?api-version=${apiVersion}`;
    const answer = await this.#unlessMissing(() =>
      this.#client.ask({ method: 'GET', url, what: `the incident ${name}` }),
    );
    return answer === null ? null : asIncident(answer.json);
  }

  async details(name: string, what: DetailName): Promise<readonly JsonObject[] | null> {
    const url = `${this.#incidentUrl(name)}/${what}?api-version=${apiVersion}`;
    const asked = `the ${what} of the incident ${name}`;
    return this.#unlessMissing(async () => {
      if (what === 'comments') return this.#all(url, asked);
      const { json } = await this.#client.ask({ method: 'POST', url, what: asked });
      return objectsOf(json[what === 'alerts' ? 'value' : 'entities']);
    });
  }

  async ruleName(name: string): Promise<string | null> {
    const url = `${this.#base}/alertRules/${encodeURIComponent(name)}?api-version=${apiVersion}`;
    const answer = await this.#unlessMissing(() => this.#client.ask({ method: 'GET', url, what: `the rule ${name}` }));
    return answer === null ? null : textOf(property(answer.json, 'displayName'));
  }

  alertRules(): Promise<readonly JsonObject[]> {
    return this.#all(`${this.#base}/alertRules?api-version=${apiVersion}`, 'the analytics rules');
  }

  #incidentUrl(name: string): string {
    return `${this.#base}/incidents/${encodeURIComponent(name)}`;
  }

  async #all(url: string, what: string): Promise<readonly JsonObject[]> {
    const found: JsonObject[] = [];
    for await (const { items } of this.#walk(url, what)) found.push(...items.filter(isJsonObject));
    return found;
  }

  /** From link to link, each as it came, and to no other host. */
  async *#walk(first: string, what: string): AsyncGenerator<Page> {
    const seen = new Set<string>();
    let url: string | null = first;
    while (url !== null) {
      seen.add(url);
      const page: Page & { next: string | null } = pageOf(await this.#client.ask({ method: 'GET', url, what }), what);
      yield page;
      url = page.next;
      if (url !== null && seen.has(url)) throw broken('a page links to one that was read already');
      if (url !== null) this.#assertOwn(url);
    }
  }

  #assertOwn(link: string): void {
    const url = URL.parse(link);
    if (url?.origin === this.#origin && url.username === '' && url.password === '') return;
    throw broken(`a page links to ${url?.origin ?? 'something that is no URL'}, which must not get the token`);
  }

  async #unlessMissing<T>(ask: () => Promise<T>): Promise<T | null> {
    try {
      return await ask();
    } catch (error) {
      const isMissing = error instanceof ArmError && error.status === 404 && error.code === 'workspace_not_found';
      if (isMissing && !isAboutWorkspace(error.message)) return null;
      throw error;
    }
  }
}

/** `The Resource 'Microsoft.OperationalInsights/workspaces/x' under resource group 'y' was not found.` and the like. */
function isAboutWorkspace(message: string): boolean {
  return /SubscriptionNotFound|ResourceGroupNotFound|'Microsoft\.OperationalInsights\/workspaces\/[^'/]+'/i.test(
    message,
  );
}

interface Page {
  readonly items: readonly JsonValue[];
  readonly answeredAtMs: number;
}

function pageOf({ json, answeredAtMs }: Answer, what: string): Page & { readonly next: string | null } {
  const { value, nextLink = null } = json;
  if (!Array.isArray(value))
    throw new ArmError('answer_unreadable', `Azure's answer holds no list of ${what}.`, pagingFix);
  if (nextLink !== null && typeof nextLink !== 'string') throw broken('the link to the next page is no text');
  return { items: value, answeredAtMs, next: nextLink === '' ? null : nextLink };
}

function asIncident(value: JsonValue): Incident {
  const incident = readIncident(value);
  if (incident !== null) return incident;
  throw new ArmError('answer_unreadable', 'Azure answered with an incident that has neither name nor id.', pagingFix);
}

/** As Azure wrote it, since a Date has three decimals and Azure's times have seven. */
function createdAtOf(item: JsonValue | undefined): string | null {
  const text = item !== undefined && isJsonObject(item) ? textOf(property(item, 'createdTimeUtc')) : null;
  return text !== null && /^[\d:TZ.+-]+$/.test(text) ? text : null;
}

const pagingFix = 'Try again. If it goes on, look at what answers in place of Azure, and ask Azure support.';

function broken(what: string): ArmError {
  return new ArmError('paging_broken', `The list of pages is broken: ${what}.`, pagingFix);
}
