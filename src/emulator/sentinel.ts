import type { JsonObject } from '../ground/json.ts';
import type { Call } from './call.ts';
import type { Continuation, IncidentDetail } from './incident-book.ts';
import { FilterError, parseFilter } from './odata.ts';
import { type Action, refuse } from './resource-manager.ts';
import type { AzureState } from './state.ts';
import type { PresentedToken } from './tokens.ts';
import { azureError, jsonReply, type Reply } from './wire.ts';

/** Microsoft.SecurityInsights below a workspace: incidents, what belongs to one, and analytics rules. */

const defaultPageSize = 50;
const maxPageSize = 1_000;

/** GET …/incidents, the first page or the one that a link leads to. */
export function listIncidents(state: AzureState, call: Call, token: PresentedToken): Reply {
  const refusal = refuseSentinel(state, call, { token, action: 'Microsoft.SecurityInsights/incidents/read' });
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

function page(state: AzureState, call: Call, start: Continuation): Reply {
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

/** From where it starts: so many incidents as fit the filter, and the offset behind them; null at the end. */
function scan({ sentinel }: AzureState, { offset, pageSize, isDescending, filter }: Continuation) {
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
  { sentinel }: AzureState,
  call: Call,
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
export function incident(state: AzureState, call: Call, token: PresentedToken): Reply {
  const refusal = refuseSentinel(state, call, { token, action: 'Microsoft.SecurityInsights/incidents/read' });
  if (refusal !== null) return refusal;
  const found = state.sentinel.source.find(call.segments[11] ?? '');
  return found === null ? noIncident(call) : jsonReply(200, found);
}

/** GET …/comments, POST …/alerts and …/entities of an incident */
export function incidentDetail(state: AzureState, call: Call, token: PresentedToken): Reply {
  const what = (call.segments[12] ?? '').toLowerCase();
  const action: Action =
    what === 'comments'
      ? 'Microsoft.SecurityInsights/incidents/comments/read'
      : 'Microsoft.SecurityInsights/incidents/read';
  const refusal = refuseSentinel(state, call, { token, action });
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
export function alertRules(state: AzureState, call: Call, token: PresentedToken): Reply {
  const refusal = refuseSentinel(state, call, { token, action: 'Microsoft.SecurityInsights/alertRules/read' });
  if (refusal !== null) return refusal;
  const name = call.segments[11]?.toLowerCase();
  if (name === undefined) return jsonReply(200, { value: state.sentinel.rules });
  const found = state.sentinel.rules.find((rule) => String(rule['name']).toLowerCase() === name);
  return found === undefined
    ? azureError(404, 'NotFound', `The alert rule '${name}' was not found.`)
    : jsonReply(200, found);
}

function refuseSentinel(
  state: AzureState,
  call: Call,
  { token, action }: { token: PresentedToken; action: Action },
): Reply | null {
  const workspaceId = `/${call.segments.slice(0, 8).join('/')}`;
  const refusal = refuse(state, call, { token, scope: workspaceId, action });
  if (refusal !== null) return refusal;
  if (workspaceId.toLowerCase() !== state.workspaceResourceId.toLowerCase()) {
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
