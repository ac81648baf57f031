import { randomBytes } from 'node:crypto';
import { isJsonObject, type JsonObject } from '../../../src/ground/json.ts';
import { azureError, type Call, jsonReply, type Reply } from './call.ts';
import { type Filter, FilterError, parseFilter } from './odata.ts';
import { type Action, refuse } from './resource-manager.ts';
import { type FakeAzure, workspaceResourceId } from './state.ts';

/** Incidents by their creation, the oldest first. A source may make them on demand. */
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

/** Irregular pages, as Azure has been seen to send them or might. All are off by default. */
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

/** The place in a listing to which a link leads. */
export interface Continuation {
  readonly offset: number;
  readonly pageSize: number;
  readonly isDescending: boolean;
  readonly filter: Filter;
  readonly page: number;
  /** This one is empty, and links to the page that it stands before. */
  readonly isEmpty: boolean;
}

/** What the emulated Sentinel holds. */
export class IncidentBook {
  isEnabled = true;
  source: IncidentSource = listed([]);
  rules: readonly JsonObject[] = [];
  oddities: PagingOddities = {};
  detailOf: (name: string) => IncidentDetail = () => ({ comments: [], alerts: [], entities: [] });
  readonly #tokens = new Map<string, Continuation>();

  /** The token holds + / = - _ and a quote, so that it is lost if anything decodes, encodes or normalises it. */
  issue(continuation: Continuation): string {
    const token = `H4sIA${randomBytes(48).toString('base64')}+/-_'${randomBytes(10).toString('base64')}`;
    this.#tokens.set(token, continuation);
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

const defaultPageSize = 50;
const maxPageSize = 1_000;

interface ListCall extends Call {
  /** As it came: a continuation token must come back byte for byte. */
  readonly rawQuery: string;
}

/** GET …/incidents, the first page or the one that a link leads to. */
export function listIncidents(state: FakeAzure, call: ListCall): Reply {
  const refusal = refuseSentinel(state, call, 'Microsoft.SecurityInsights/incidents/read');
  if (refusal !== null) return refusal;
  const skipToken = /(?:^|&)(?:\$|%24)skipToken=([^&]*)/i.exec(call.rawQuery)?.[1];
  try {
    const start = skipToken === undefined ? firstPage(call) : state.sentinel.redeem(skipToken);
    if (start === null) return badRequest('Invalid skip token.');
    const pageSize = Math.min(start.pageSize, state.sentinel.oddities.largestPage ?? maxPageSize);
    return page(state, call, { ...start, pageSize });
  } catch (error) {
    if (error instanceof FilterError) return badRequest(`Invalid filter: ${error.message}`);
    throw error;
  }
}

function firstPage({ query }: Call): Continuation {
  const top = query.get('$top') ?? String(defaultPageSize);
  const pageSize = /^\d+$/.test(top) ? Number(top) : 0;
  if (pageSize < 1 || pageSize > maxPageSize)
    throw new FilterError(`$top must be from 1 to ${maxPageSize}, is ${top}.`);
  const order = query.get('$orderby') ?? 'properties/createdTimeUtc desc';
  const ordered = /^properties\/(?:createdTimeUtc|incidentNumber)(?: (asc|desc))?$/.exec(order);
  if (ordered === null) throw new FilterError(`The emulator does not order by '${order}'.`);
  const filter = query.get('$filter');
  return {
    offset: 0,
    pageSize,
    isDescending: ordered[1] === 'desc',
    filter: filter === null ? () => true : parseFilter(filter),
    page: 0,
    isEmpty: false,
  };
}

function page(state: FakeAzure, call: ListCall, start: Continuation): Reply {
  const { oddities } = state.sentinel;
  const { found, next } = start.isEmpty ? { found: [], next: start.offset } : scan(state, start);
  if (start.isEmpty) return pageReply(state, call, { found, start, next: { ...start, isEmpty: false } });
  const ends = next === null || oddities.topEndsList === true;
  const repeated = oddities.repeated ?? 0;
  const following: Continuation = {
    ...start,
    offset: Math.max(0, (next ?? 0) - repeated),
    page: start.page + 1,
    isEmpty: oddities.emptyPages === true,
  };
  return pageReply(state, call, { found, start, next: ends ? null : following });
}

/** A page of the incidents that pass the filter, and the offset after it, which is null at the end. */
function scan({ sentinel }: FakeAzure, { offset, pageSize, isDescending, filter }: Continuation) {
  const { source } = sentinel;
  const found: JsonObject[] = [];
  for (let at = offset; at < source.count; at += 1) {
    const incident = source.at(isDescending ? source.count - 1 - at : at);
    if (!filter(incident)) continue;
    if (found.length === pageSize) return { found, next: at };
    found.push(incident);
  }
  return { found, next: null };
}

function pageReply(
  { sentinel }: FakeAzure,
  call: ListCall,
  { found, start, next }: { found: readonly JsonObject[]; start: Continuation; next: Continuation | null },
): Reply {
  if (next === null) return jsonReply(200, { value: found });
  const { foreignOrigin, repeatLink } = sentinel.oddities;
  const path = `/${call.segments.map(encodeURIComponent).join('/')}`;
  const link = (continuation: Continuation): string =>
    `${path}?api-version=${call.query.get('api-version')}&$skipToken=${sentinel.issue(continuation)}`;
  // The link to the second page, met again on it, is the one that led there.
  const own = repeatLink === true && start.page > 0 ? `${path}?${call.rawQuery}` : link(next);
  return jsonReply(200, { value: found, nextLink: `${foreignOrigin ?? call.origin}${own}` });
}

/** GET …/incidents/{guid} */
export function incident(state: FakeAzure, call: Call): Reply {
  const refusal = refuseSentinel(state, call, 'Microsoft.SecurityInsights/incidents/read');
  if (refusal !== null) return refusal;
  const found = state.sentinel.source.find(call.segments[11] ?? '');
  return found === null ? noIncident(call) : jsonReply(200, found);
}

/** GET …/comments, POST …/alerts and …/entities of an incident */
export function incidentDetail(state: FakeAzure, call: Call): Reply {
  const what = (call.segments[12] ?? '').toLowerCase();
  const action: Action =
    what === 'comments'
      ? 'Microsoft.SecurityInsights/incidents/comments/read'
      : 'Microsoft.SecurityInsights/incidents/read';
  const refusal = refuseSentinel(state, call, action);
  if (refusal !== null) return refusal;
  const name = call.segments[11] ?? '';
  if (state.sentinel.source.find(name) === null) return noIncident(call);
  if (call.method !== (what === 'comments' ? 'GET' : 'POST')) {
    return azureError(405, 'MethodNotAllowed', `The method ${call.method} is not allowed on ${what}.`);
  }
  const detail: IncidentDetail = state.sentinel.detailOf(name);
  if (what === 'comments') return jsonReply(200, { value: detail.comments });
  if (what === 'alerts') return jsonReply(200, { value: detail.alerts });
  const kinds = Map.groupBy(detail.entities, ({ kind }) => String(kind));
  const metaData = [...kinds].map(([entityKind, entities]) => ({ entityKind, count: entities.length }));
  return jsonReply(200, { entities: detail.entities, metaData });
}

/** GET …/alertRules and …/alertRules/{guid} */
export function alertRules(state: FakeAzure, call: Call): Reply {
  const refusal = refuseSentinel(state, call, 'Microsoft.SecurityInsights/alertRules/read');
  if (refusal !== null) return refusal;
  const name = call.segments[11]?.toLowerCase();
  if (name === undefined) return jsonReply(200, { value: state.sentinel.rules });
  const found = state.sentinel.rules.find((rule) => String(rule['name']).toLowerCase() === name);
  return found === undefined
    ? azureError(404, 'NotFound', `The alert rule '${name}' was not found.`)
    : jsonReply(200, found);
}

function refuseSentinel(state: FakeAzure, call: Call, action: Action): Reply | null {
  const workspaceId = `/${call.segments.slice(0, 8).join('/')}`;
  const refusal = refuse(state, call, { scope: workspaceId, action });
  if (refusal !== null) return refusal;
  if (workspaceId.toLowerCase() !== workspaceResourceId.toLowerCase()) {
    const [group, name] = [call.segments[3], call.segments[7]];
    return azureError(
      404,
      'ResourceNotFound',
      `The Resource 'Microsoft.OperationalInsights/workspaces/${name}' under resource group '${group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
    );
  }
  return state.sentinel.isEnabled ? null : notOnboarded(call.segments[7] ?? '');
}

/** The error of Sentinel's service as text within that of its front end (iknowjason/PurpleCloud#42). */
function notOnboarded(workspace: string): Reply {
  const message = `Workspace '${workspace}' is not onboarded to Microsoft Sentinel. Please onboard through the portal (https://learn.microsoft.com/en-us/azure/sentinel/quickstart-onboard) or use the OnboardingStates ARM api to onboard to Sentinel.`;
  return badRequest(JSON.stringify({ error: { code: 'BadRequest', message } }));
}

function noIncident(call: Call): Reply {
  return azureError(404, 'NotFound', `The incident '${call.segments[11]}' does not exist.`);
}

function badRequest(message: string): Reply {
  return azureError(400, 'BadRequest', message);
}
