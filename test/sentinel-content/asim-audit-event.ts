/*
 * The schema AuditEvent 0.1.2 of the Advanced Security Information Model, as far as a parser is held to it.
 * https://learn.microsoft.com/azure/sentinel/normalization-schema-audit (fields, allowed values, filtering parameters),
 * https://learn.microsoft.com/azure/sentinel/normalization-common-fields (common fields),
 * https://learn.microsoft.com/azure/sentinel/normalization-entity-user (user names and types),
 * https://learn.microsoft.com/azure/sentinel/normalization-about-schemas#logical-types (application types).
 */

/** Class Mandatory, with the physical type. EventSeverity is one of them in the schema tester of Azure-Sentinel. */
export const MANDATORY: Readonly<Record<string, string>> = {
  TimeGenerated: 'datetime',
  EventCount: 'int',
  EventStartTime: 'datetime',
  EventEndTime: 'datetime',
  EventType: 'string',
  EventResult: 'string',
  EventSeverity: 'string',
  EventProduct: 'string',
  EventVendor: 'string',
  EventSchema: 'string',
  EventSchemaVersion: 'string',
  Dvc: 'string',
  Operation: 'string',
  Object: 'string',
};

/** Fields with a list of values. The first group is Mandatory; the others may be empty where their subject is. */
export const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  EventType: [
    ...['Set', 'Read', 'Create', 'Delete', 'Execute', 'Install', 'Clear', 'Enable', 'Disable'],
    ...['Initialize', 'Start', 'Stop', 'Other'],
  ],
  EventResult: ['Success', 'Partial', 'Failure', 'NA'],
  EventSeverity: ['Informational', 'Low', 'Medium', 'High'],
  EventSchema: ['AuditEvent'],
  EventSchemaVersion: ['0.1.2'],
  ObjectType: [
    ...['Cloud Resource', 'Configuration Atom', 'Policy Rule', 'Event Log', 'Scheduled Task', 'Service'],
    ...['Directory Service Object', 'Other'],
  ],
  ValueType: ['Other', ''],
  ActorUsernameType: ['UPN', 'Windows', 'DN', 'Simple', 'AWSId', ''],
  ActorUserType: [
    ...[
      'Regular',
      'Machine',
      'Admin',
      'System',
      'Application',
      'Service Principal',
      'Service',
      'Anonymous',
      'Other',
      '',
    ],
  ],
  TargetAppType: ['Process', 'Service', 'Resource', 'URL', 'SaaS application', 'CloudService', 'Other', ''],
};

/** Class Conditional: the type must be there where its subject is. */
export const CONDITIONAL: readonly (readonly [subject: string, type: string])[] = [
  ['Object', 'ObjectType'],
  ['ActorUsername', 'ActorUsernameType'],
  ['TargetAppName', 'TargetAppType'],
  ['NewValue', 'ValueType'],
];

/** Class Alias: the same value under another name. */
export const ALIASES: readonly (readonly [alias: string, field: string])[] = [
  ['Value', 'NewValue'],
  ['User', 'ActorUsername'],
  ['Application', 'TargetAppName'],
  ['Dst', 'TargetAppName'],
];

/** Filtering parameters of a vim parser, with `disabled`, which the unifying parser passes. */
export const PARAMETERS: Readonly<Record<string, string>> = {
  starttime: 'datetime',
  endtime: 'datetime',
  srcipaddr_has_any_prefix: 'dynamic',
  actorusername_has_any: 'dynamic',
  operation_has_any: 'dynamic',
  eventtype_in: 'dynamic',
  eventresult: 'string',
  object_has_any: 'dynamic',
  newvalue_has_any: 'dynamic',
  disabled: 'bool',
};
