import { type JsonObject, objectsOf, textOf, textsOf } from '../../ground/json.ts';
import { type DetailedIncident, type DetailName, numberOf, property } from './incident.ts';
import { alertLine, commentLine, entityLine } from './lines.ts';

type Cell = string | number | null;

export interface Column {
  readonly name: string;
  readonly description: string;
  readonly cell: (incident: DetailedIncident) => Cell;
}

/** Separates the parts of a cell that has several. */
const listSeparator = '; ';

type Read = (resource: JsonObject) => Cell;

const text =
  (...path: readonly string[]): Read =>
  (resource) =>
    textOf(property(resource, ...path));
const number =
  (...path: readonly string[]): Read =>
  (resource) =>
    numberOf(property(resource, ...path));
const list =
  (...path: readonly string[]): Read =>
  (resource) =>
    joined(textsOf(property(resource, ...path)));
const labels =
  (member: 'labelName' | 'labelType'): Read =>
  (resource) =>
    joined(objectsOf(property(resource, 'labels')).map((label) => textOf(label[member]) ?? ''));

function joined(parts: readonly string[]): string | null {
  return parts.length === 0 ? null : parts.join(listSeparator);
}

function column(name: string, description: string, read: Read): Column {
  return { name, description, cell: ({ resource }) => read(resource) };
}

/** The columns of Get-AzSentinelIncidentListV2.ps1 in its order, with its header `IncidentTile` corrected. */
export const formerColumns: readonly Column[] = [
  { name: 'IncidentUniqueId', description: 'The GUID of the incident', cell: ({ name }) => name },
  column('IncidentTitle', 'Title', text('title')),
  column('IncidentNumber', 'Number, as the portal shows it', number('incidentNumber')),
  column('Description', 'Description', text('description')),
  column('Severity', 'High, Medium, Low or Informational', text('severity')),
  column('Status', 'New, Active or Closed', text('status')),
  column('Label', 'Names of the labels (tags)', labels('labelName')),
  column('Classification', 'Why it was closed', text('classification')),
  column('ClassificationComment', 'What was written when it was closed', text('classificationComment')),
  column('AssignedTo', 'Name of the owner', text('owner', 'assignedTo')),
  column('OwnerEmail', 'E-mail address of the owner', text('owner', 'email')),
  column('CreatedTimeUTC', 'When the incident was made', text('createdTimeUtc')),
  column('FirstActivityTimeUTC', 'First event of its alerts', text('firstActivityTimeUtc')),
  column('LastActivityTimeUTC', 'Last event of its alerts', text('lastActivityTimeUtc')),
  column('LastModifiedTimeUTC', 'When the incident last changed', text('lastModifiedTimeUtc')),
  column('FirstActivityTimeGenerated', 'Empty: the API no longer gives it', text('firstActivityTimeGenerated')),
  column('LastActivityTimeGenerated', 'Empty: the API no longer gives it', text('lastActivityTimeGenerated')),
  column('AlertProductName', 'Products that its alerts come from', list('additionalData', 'alertProductNames')),
  column('CommentCount', 'Number of comments', number('additionalData', 'commentsCount')),
  column('AlertCount', 'Number of alerts', number('additionalData', 'alertsCount')),
];

export const furtherColumns: readonly Column[] = [
  column('ClassificationReason', 'What stands beside the classification', text('classificationReason')),
  column('OwnerUPN', 'User principal name of the owner', text('owner', 'userPrincipalName')),
  column('OwnerObjectId', 'Object id of the owner in Entra ID', text('owner', 'objectId')),
  column('OwnerType', 'User, Group or Unknown', text('owner', 'ownerType')),
  column('IncidentUrl', 'Link to the incident in the portal', text('incidentUrl')),
  column('ProviderName', 'Azure Sentinel, or Microsoft XDR', text('providerName')),
  column('ProviderIncidentId', 'Its id there', text('providerIncidentId')),
  column('ProviderIncidentUrl', 'Link to it there', text('additionalData', 'providerIncidentUrl')),
  column('Tactics', 'MITRE ATT&CK tactics', list('additionalData', 'tactics')),
  column('Techniques', 'MITRE ATT&CK techniques', list('additionalData', 'techniques')),
  column('RelatedAnalyticRuleIds', 'Resource ids of the rules that made its alerts', list('relatedAnalyticRuleIds')),
  column('BookmarksCount', 'Number of bookmarks', number('additionalData', 'bookmarksCount')),
  column('LabelTypes', 'User or AutoAssigned, in the order of Label', labels('labelType')),
  {
    name: 'ResourceId',
    description: 'Resource id of the incident, as Azure spells it',
    cell: ({ resource }) => textOf(resource['id']),
  },
];

/** Columns whose cells have one line for each comment, alert or entity. */
export const detailColumns: Readonly<Record<DetailName, Column>> = {
  comments: {
    name: 'Comments',
    description: 'With `--with comments`: a line for each, time, author and message',
    cell: ({ details }) => lines(details.comments, commentLine),
  },
  alerts: {
    name: 'Alerts',
    description: 'With `--with alerts`: a line for each, time, severity, name and product',
    cell: ({ details }) => lines(details.alerts, alertLine),
  },
  entities: {
    name: 'Entities',
    description: 'With `--with entities`: a line for each, kind and name',
    cell: ({ details }) => lines(details.entities, entityLine),
  },
};

function lines(items: readonly JsonObject[] | null | undefined, line: (item: JsonObject) => string): Cell {
  return items === null || items === undefined || items.length === 0 ? null : items.map(line).join('\n');
}

export function columnsWith(details: readonly DetailName[]): readonly Column[] {
  return [...formerColumns, ...furtherColumns, ...details.map((name) => detailColumns[name])];
}
