import type { CredentialConfig } from '../config/config.ts';
import type { UploadResult } from '../delivery/ingestion.ts';
import { type Explanation, explainNetwork } from './network-fixes.ts';
import { explainTokenFailure } from './token-fixes.ts';

export type { Explanation } from './network-fixes.ts';

/** What an upload was made with, so that the advice can name it. */
export interface UploadContext {
  readonly stream: string;
  /** The variable that names the stream, e.g. LOGS_INGESTION_STREAM_AUDIT; default LOGS_INGESTION_STREAM. */
  readonly streamVariable?: string;
  readonly ruleId: string;
  readonly endpoint: string;
  readonly credential: CredentialConfig;
}

type Answered = Extract<UploadResult, { type: 'answered' }>;

/** Says what came of an upload and what to do about it, for `check --live`, `/healthz` and the log. */
export function explainUpload(result: UploadResult, context: UploadContext): Explanation {
  switch (result.type) {
    case 'answered':
      return explainAnswer(result, context);
    case 'unanswered':
      return explainSilence(result, context);
    case 'no_token':
      return explainTokenFailure(result, context.credential);
  }
}

function explainAnswer(result: Answered, context: UploadContext): Explanation {
  const said = [result.code, result.message].filter((part) => part !== null).join(': ');
  const reason = `Azure answered ${result.status}${said === '' ? '' : ` (${said})`} for stream ${context.stream}, request ${result.clientRequestId}.`;
  return { reason, fix: fixForStatus(result, context) };
}

function fixForStatus({ status, code }: Answered, context: UploadContext): string {
  if (status >= 200 && status < 300) return '';
  if (status >= 300 && status < 400) {
    return `Redirects are not followed, since they would carry the token elsewhere. ${endpointHint(context)}`;
  }
  switch (status) {
    case 400:
      return code === 'InvalidStream' ? streamFix(context) : badRequestFix(context);
    case 401:
      return tokenRejectedFix(context);
    case 403:
      return roleFix(context);
    case 404:
      return ruleFix(context);
    case 407:
      return 'The proxy wants a sign-in: put user and password into HTTPS_PROXY, or name the host in NO_PROXY.';
    case 408:
    case 429:
      return 'Nothing, it is tried again. If it goes on, compare the limits of the rule (2 GB and 12,000 requests a minute) with its metrics.';
    case 413:
      return 'Nothing, the rows are sent in smaller parts.';
    default:
      if (status >= 500)
        return 'Nothing, it is tried again. If it goes on, look at Azure Service Health for the region of the rule.';
      return `This is no answer that Azure documents: something between may have given it. ${endpointHint(context)}`;
  }
}

function streamFix({ stream, streamVariable = 'LOGS_INGESTION_STREAM', ruleId }: UploadContext): string {
  return (
    `The data collection rule ${ruleId} declares no stream ${stream}. Set ${streamVariable} to a name under streamDeclarations ` +
    '(portal: the rule, JSON view; or `az monitor data-collection rule show`), or add the stream and its data flow to the rule.'
  );
}

function badRequestFix({ stream, streamVariable = 'LOGS_INGESTION_STREAM' }: UploadContext): string {
  return (
    `Compare the stream ${stream} (${streamVariable}) with the rule, and set DATA_COLLECTION_RULE_RESOURCE_ID so that ` +
    '`check --live` compares the columns. The table DCRLogErrors shows the request by its id, if the rule has a diagnostic setting.'
  );
}

function tokenRejectedFix({ credential }: UploadContext): string {
  const clock = 'Check that the clock of this machine is right.';
  const cloud = 'AZURE_CLOUD must be that of the rule (public, usgov or china)';
  if (credential.type === 'managed') return `A new token was rejected too: ${cloud}. ${clock}`;
  return `A new token was rejected too: ${cloud}, and AZURE_TENANT_ID (now ${credential.tenantId}) the tenant of its subscription. ${clock}`;
}

function roleFix({ credential, ruleId }: UploadContext): string {
  const who =
    credential.type === 'managed'
      ? `the managed identity${credential.clientId === null ? '' : ` with client id ${credential.clientId}`}`
      : `the service principal (enterprise application) of AZURE_CLIENT_ID ${credential.clientId}`;
  const assignee =
    credential.type === 'managed' && credential.clientId === null ? '<object id of the identity>' : credential.clientId;
  return (
    `Give ${who} the role "Monitoring Metrics Publisher" on the data collection rule ${ruleId} (portal: the rule, Access control (IAM); ` +
    `or \`az role assignment create --role "Monitoring Metrics Publisher" --assignee ${assignee} --scope <resource id of the rule>\`). ` +
    'A new assignment takes up to 30 minutes to count. If it is there: the rule must belong to the data collection endpoint of ' +
    'LOGS_INGESTION_ENDPOINT, and that endpoint must allow the network this comes from.'
  );
}

function ruleFix(context: UploadContext): string {
  return (
    `No rule ${context.ruleId} is known there. DATA_COLLECTION_RULE_ID is the immutableId of the rule (portal: JSON view; or ` +
    `\`az monitor data-collection rule show --query immutableId\`), not its name. ${endpointHint(context)}`
  );
}

function endpointHint({ endpoint }: UploadContext): string {
  return (
    `LOGS_INGESTION_ENDPOINT (now ${endpoint}) is endpoints.logsIngestion of the rule (kind Direct), or the logs ingestion URI ` +
    'of its data collection endpoint, in the same region.'
  );
}

function explainSilence(result: Extract<UploadResult, { type: 'unanswered' }>, context: UploadContext): Explanation {
  const host = new URL(context.endpoint).host;
  const reason = `No answer from ${host}: ${result.message}`;
  switch (result.reason) {
    case 'aborted':
      return { reason, fix: '' };
    case 'timeout':
      return {
        reason,
        fix: `Look for what holds traffic to ${host} back: a firewall that drops silently, a proxy, private link.`,
      };
    case 'network':
      return { reason, fix: explainNetwork(result.message, host, 'LOGS_INGESTION_ENDPOINT') };
  }
}
