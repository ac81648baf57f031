/**
 * JSON Schemas of the hand-written files in deploy/sentinel/. They are Azure-Sentinel's forms, closed: a misspelt key
 * would otherwise be a setting that is silently not made.
 * https://github.com/Azure/Azure-Sentinel/wiki/Query-Style-Guide
 */

const text = { type: 'string', minLength: 1 };
const texts = { type: 'array', items: text };
const flag = { type: 'boolean' };
const guid = { type: 'string', pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' };
const version = { type: 'string', pattern: '^\\d+\\.\\d+\\.\\d+$' };
const duration = { type: 'string', pattern: '^(\\d+[mhd]|P.+)$' };

function record(properties: object, required: readonly string[]): object {
  return { type: 'object', properties, required, additionalProperties: false };
}

function list(items: object): object {
  return { type: 'array', items };
}

const connectors = list(record({ connectorId: text, dataTypes: texts }, ['connectorId', 'dataTypes']));

const entityMappings = list(
  record(
    {
      entityType: text,
      fieldMappings: list(record({ identifier: text, columnName: text }, ['identifier', 'columnName'])),
    },
    ['entityType', 'fieldMappings'],
  ),
);

const grouping = record(
  {
    enabled: flag,
    reopenClosedIncident: flag,
    lookbackDuration: duration,
    matchingMethod: text,
    groupByEntities: texts,
    groupByAlertDetails: texts,
    groupByCustomDetails: texts,
  },
  ['enabled', 'reopenClosedIncident', 'lookbackDuration', 'matchingMethod'],
);

const alertDetails = record(
  {
    alertDisplayNameFormat: text,
    alertDescriptionFormat: text,
    alertTacticsColumnName: text,
    alertSeverityColumnName: text,
    alertDynamicProperties: list(record({ alertProperty: text, value: text }, ['alertProperty', 'value'])),
  },
  [],
);

const query = {
  id: guid,
  name: text,
  version,
  description: text,
  requiredDataConnectors: connectors,
  tactics: texts,
  relevantTechniques: texts,
  query: text,
  entityMappings,
  tags: { type: 'array' },
  metadata: { type: 'object' },
};

export const analyticRuleForm = record(
  {
    ...query,
    kind: { const: 'Scheduled' },
    status: text,
    severity: { enum: ['High', 'Medium', 'Low', 'Informational'] },
    queryFrequency: duration,
    queryPeriod: duration,
    triggerOperator: { enum: ['gt', 'lt', 'eq', 'ne'] },
    triggerThreshold: { type: 'integer' },
    suppressionEnabled: flag,
    suppressionDuration: duration,
    customDetails: { type: 'object', additionalProperties: text },
    alertDetailsOverride: alertDetails,
    eventGroupingSettings: record({ aggregationKind: text }, ['aggregationKind']),
    incidentConfiguration: record({ createIncident: flag, groupingConfiguration: grouping }, ['createIncident']),
  },
  [
    'id',
    'name',
    'version',
    'kind',
    'description',
    'severity',
    'queryFrequency',
    'queryPeriod',
    'triggerOperator',
    'triggerThreshold',
    'tactics',
    'relevantTechniques',
    'query',
  ],
);

export const huntingQueryForm = record(query, ['id', 'name', 'description', 'tactics', 'relevantTechniques', 'query']);

const parserParameter = record({ Name: text, Type: text, Default: { type: ['string', 'boolean', 'number'] } }, [
  'Name',
  'Type',
]);

const day = { type: 'string', pattern: '^[0-9-]+$' };

export const parserForm = record(
  {
    id: guid,
    Function: record({ Title: text, Version: version, LastUpdated: day }, ['Title', 'Version', 'LastUpdated']),
    Description: text,
    Category: text,
    FunctionName: text,
    FunctionAlias: text,
    FunctionParams: list(parserParameter),
    FunctionQuery: text,
  },
  ['id', 'Function', 'Category', 'FunctionName', 'FunctionAlias', 'FunctionQuery'],
);
