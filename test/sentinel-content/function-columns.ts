import { kqlType } from '../../deploy/generate/kql-validation.ts';
import { ownTables } from './workspace-tables.ts';

/*
 * What each function of deploy/sentinel/Parsers returns: the contract of the rules, hunting queries and workbook, and of
 * whoever wrote queries on it. `name` is a string, `name:type` any other.
 */

/** The columns of a table of ours, as the functions pass them on. */
function table(name: string): string {
  const columns = ownTables().find((one) => one.name === name)?.columns ?? [];
  return columns.map((column) => `${column.name}:${kqlType(column.type)}`).join(' ');
}

const AUDIT_EVENT = `
  TimeGenerated:datetime EventCount:int EventStartTime:datetime EventEndTime:datetime EventType EventSubType EventResult
  EventResultDetails EventSeverity EventUid EventOriginalUid EventOriginalType EventMessage EventProduct EventVendor
  EventSchema EventSchemaVersion Dvc Operation Object ObjectId ObjectType OriginalObjectType OldValue NewValue Value
  ValueType ActorUsername ActorUsernameType ActorUserType ActorOriginalUserType User TargetAppId TargetAppName
  TargetAppType TargetOriginalAppType Application Dst ActingAppName AdditionalFields:dynamic Type`;

const DOCUMENTED: Readonly<Record<string, string>> = {
  AponoSettings: `
    ReportedSteps:dynamic SensitiveIntegrations:dynamic BreakGlassFlows:dynamic FlowsThatNeedApproval:dynamic FlowsWithoutApproval:dynamic
    WorkdayStartHour:int WorkdayEndHour:int Workdays:dynamic TimeZone FastApprovalSeconds:int ManyRequests:int
    ManyRequestsWindow:timespan RepeatedFailures:int SilentFeedDays:int HeartbeatSilence:timespan BacklogSeconds:int
    CredentialWarningDays:int IntegrationPatience:timespan ExcludedRequesters:dynamic ExcludedFlows:dynamic
    RiskySignInWindow:timespan ExpiryGrace:timespan`,
  AponoAccessRequests: `
    ${table('AponoAccessRequests_CL')}
    IngestedAt:datetime RequesterUpn GranteeUpn EventIngestedAt:datetime EventIds:dynamic BodyForms:dynamic Feeds:dynamic
    ApprovalsTruncated:bool`,
  AponoAccessEvents: `
    TimeGenerated:datetime event_time:datetime IngestedAt:datetime event_key EventIds:dynamic event_type event_action
    request_id request_friendly_id requester_id requester_name requester_email RequesterUpn RequesterName
    RequesterUpnSuffix grantee_id grantee_source_id grantee_name grantee_type GranteeUpn GranteeName GranteeUpnSuffix
    justification request_created_at:datetime revocation_at:datetime access_duration_seconds:long access_flow_id
    access_flow_name access_bundle_id access_bundle_name Integrations:dynamic IntegrationIds:dynamic
    IntegrationTypes:dynamic Resources:dynamic ResourceIds:dynamic ResourceTypes:dynamic Permissions:dynamic
    Units:dynamic UnitCount:long units_truncated:bool approvals_logical_relation approvals:dynamic
    approver_emails:dynamic custom_fields:dynamic BodyForms:dynamic Feeds:dynamic is_test:bool
    ApprovalsTruncated:bool`,
  AponoRequestLifecycle: `
    request_id request_friendly_id requester_id requester_name requester_email RequesterUpn RequesterName
    RequesterUpnSuffix grantee_id grantee_source_id grantee_name grantee_type GranteeUpn GranteeName GranteeUpnSuffix
    justification access_flow_id access_flow_name access_bundle_id access_bundle_name Integrations:dynamic
    Resources:dynamic Permissions:dynamic UnitCount:long CreatedAt:datetime ApprovedAt:datetime RejectedAt:datetime
    GrantedAt:datetime ExpiredAt:datetime FailedAt:datetime LastAction LastEventAt:datetime PlannedEndAt:datetime
    EndsAt:datetime TimeToApproval:timespan TimeToGrant:timespan AccessDuration:timespan Approvers:dynamic
    Rejecters:dynamic Failures:long is_test:bool`,
  AponoAccessAt: `
    GranteeUpn RequesterUpn grantee_name requester_name integration_name integration_type resource_name resource_id
    resource_type_name permission access_flow_name request_id request_friendly_id GrantedAt:datetime EndsAt:datetime
    is_test:bool EndIsUnconfirmed:bool`,
  AponoAuditEvents: `${table('AponoAuditLogs_CL')} IngestedAt:datetime ActorUpn`,
  AponoIntegrationEvents: `${table('AponoIntegrationStatus_CL')} IngestedAt:datetime`,
  AponoAnomalyEvents: `${table('AponoAnomalies_CL')} IngestedAt:datetime RequesterUpn RequesterName RequesterUpnSuffix`,
  AponoHeartbeat: `${table('AponoProxyHeartbeat_CL')} IngestedAt:datetime`,
  vimAuditEventApono: AUDIT_EVENT,
  ASimAuditEventApono: AUDIT_EVENT,
};

/** `["TimeGenerated:datetime", …]` for each function, in order. */
export const FUNCTION_COLUMNS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.entries(DOCUMENTED).map(([name, columns]) => [
    name,
    columns
      .trim()
      .split(/\s+/)
      .map((column) => (column.includes(':') ? column : `${column}:string`)),
  ]),
);
