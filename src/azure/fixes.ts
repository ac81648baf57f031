import type { Config } from '../config/config.ts';
import type { CredentialConfig } from '../config/credential.ts';
import type { Explanation } from '../delivery/event.ts';
import type { Answer, Outcome, UploadResult } from '../delivery/outcome.ts';
import { explainNetwork, tunnelFix } from './answer.ts';
import { explainTokenFailure } from './token-fixes.ts';

export interface UploadContext extends Pick<Config['ingestion'], 'endpoint' | 'ruleId' | 'ruleResourceId'> {
  readonly stream: string;
  /** The variable that names the stream, e.g. LOGS_INGESTION_STREAM_AUDIT. */
  readonly streamVariable: string;
  readonly credential: CredentialConfig;
}

/**
 * Says what came of an upload and what to do about it, for `check --live`, `/healthz` and the log. `outcome`: what it
 * led to. Azure's own words are in `message` alone, since they may quote a row.
 */
export function explainUpload(result: UploadResult, context: UploadContext, outcome: Outcome): Explanation {
  if (result.type === 'no_token') return explainTokenFailure(result.failure, context.credential);
  if (result.type === 'answered') return explainAnswer(result, context, outcome);
  const { host } = new URL(context.endpoint);
  const fixes = {
    aborted: '',
    timeout: `Look for what holds traffic to ${host} back: a firewall that drops silently, a proxy, private link.`,
    network: explainNetwork(result.message, host, 'LOGS_INGESTION_ENDPOINT'),
  };
  return { reason: `No answer from ${host}: ${result.message}`, fix: fixes[result.reason], message: null };
}

function explainAnswer(result: Answer, context: UploadContext, outcome: Outcome): Explanation {
  const { status, message } = result;
  const code = outcome.type === 'hold' ? outcome.code : null;
  const said = `${status}${result.code === null ? '' : ` (${result.code})`}`;
  const where = `for stream ${context.stream}, request ${result.clientRequestId}.`;
  if (code === 'not_azure') {
    return { reason: `${whoAnswered(result, said)} ${where}`, fix: fixBetween(result, context), message };
  }
  if (code === 'rows_refused') {
    const reason = `Azure takes an empty list but none of the rows: it answered ${said} ${where}`;
    const fix =
      `${badRequestFix(context)} One row at a time is tried, and everything waits until Azure takes one. Rows that it still ` +
      'refuses then become dead letters. `outbox stats` shows what Azure said.';
    return { reason, fix, message };
  }
  return { reason: `Azure answered ${said} ${where}`, fix: fixForStatus(result, context), message };
}

function whoAnswered({ by, proxy, status }: Answer, said: string): string {
  if (by === 'proxy') {
    return `The proxy${proxy === null ? '' : ` ${proxy}`} answered ${said} to CONNECT, so nothing reached Azure,`;
  }
  const via = proxy === null ? '' : ` (the proxy ${proxy}, or what is after it)`;
  return by === 'azure' && status < 400
    ? `Azure or something before it${via} answered ${said} and not the 204 that confirms rows,`
    : `Something between this service and Azure${via} answered ${said} in place of Azure`;
}

function fixBetween({ by, proxy, status }: Answer, context: UploadContext): string {
  if (by === 'proxy' || status === 407) return tunnelFix(status);
  const first =
    proxy === null
      ? 'No proxy is set in HTTPS_PROXY, so look for a firewall, a gateway or a sign-in page that inspects the traffic.'
      : `HTTPS_PROXY names the proxy ${proxy}: look into its log, and into that of a firewall after it.`;
  return (
    `${first} It must let HTTPS to ${new URL(context.endpoint).host} through unchanged; or name the host in NO_PROXY. ` +
    `Redirects are not followed, since they would carry the token elsewhere. ${endpointHint(context)}`
  );
}

function fixForStatus({ status, code, message }: Answer, context: UploadContext): string {
  switch (status) {
    case 204:
      return '';
    case 400:
      return code === 'InvalidStream' ? streamFix(context) : badRequestFix(context);
    case 401:
      return rejectedTokenFix(context.credential, 'rule (public, usgov or china)');
    case 403:
      return roleFix(context, message);
    case 404:
      return (
        `No rule ${context.ruleId} is known there. DATA_COLLECTION_RULE_ID is the immutableId of the rule (portal: JSON view; or ` +
        `\`az monitor data-collection rule show --query immutableId\`), not its name. ${endpointHint(context)}`
      );
    case 408:
    case 429:
      return 'Nothing, it is tried again. If it goes on, compare the limits of the rule (2 GB and 12,000 requests a minute) with its metrics.';
    case 413:
      return 'Nothing, the rows are sent in smaller parts.';
    default:
      return status >= 500
        ? 'Nothing, it is tried again. If it goes on, look at Azure Service Health for the region of the rule.'
        : `Azure does not document this answer. ${endpointHint(context)}`;
  }
}

function streamFix({ stream, streamVariable, ruleId }: UploadContext): string {
  return (
    `The data collection rule ${ruleId} declares no stream ${stream}. Set ${streamVariable} to a name under streamDeclarations ` +
    '(portal: the rule, JSON view; or `az monitor data-collection rule show`), or add the stream and its data flow to the rule.'
  );
}

function badRequestFix({ stream, streamVariable }: UploadContext): string {
  return (
    `Compare the stream ${stream} (${streamVariable}) with the rule, and set DATA_COLLECTION_RULE_RESOURCE_ID so that ` +
    '`check --live` compares the columns. The table DCRLogErrors shows the request by its id, if the rule has a diagnostic setting.'
  );
}

/** `what`: the resource whose cloud AZURE_CLOUD must be. */
export function rejectedTokenFix(credential: CredentialConfig, what: string): string {
  const tenant =
    credential.type === 'managed'
      ? ''
      : `, and AZURE_TENANT_ID (now ${credential.tenantId}) the tenant of its subscription`;
  return `A new token was rejected too: AZURE_CLOUD must be that of the ${what}${tenant}. Check that the clock of this machine is right.`;
}

/** `said`: Azure's answer, which mostly has the ARM id of the rule. */
function roleFix({ credential, ruleId, ruleResourceId }: UploadContext, said: string | null): string {
  const scope = ruleResourceId ?? /\bDcrArmId: (\/subscriptions(?:\/[\w.()-]+)+)/.exec(said ?? '')?.[1] ?? null;
  return (
    `${grantFix('Monitoring Metrics Publisher', credential, `the data collection rule ${ruleId}`, scope)} If it is there: ` +
    'the rule must belong to the data collection endpoint of LOGS_INGESTION_ENDPOINT, and that endpoint must allow the ' +
    'network this comes from.'
  );
}

/** Names the command only if it can be run as it stands. `scope`: the ARM id of the resource; null: not known. */
export function grantFix(role: string, { type, clientId }: CredentialConfig, on: string, scope: string | null): string {
  const who =
    type === 'managed'
      ? `the managed identity${clientId === null ? '' : ` with client id ${clientId}`}`
      : `the service principal (enterprise application) of AZURE_CLIENT_ID ${clientId}`;
  const create = `az role assignment create --role "${role}" --assignee ${clientId} --scope "${scope}"`;
  const command = scope === null || clientId === null ? '' : `; or \`${create}\``;
  return `Give ${who} the role "${role}" on ${on} (portal: its Access control (IAM)${command}). A new assignment takes up to 30 minutes to count.`;
}

function endpointHint({ endpoint }: UploadContext): string {
  return (
    `LOGS_INGESTION_ENDPOINT (now ${endpoint}) is endpoints.logsIngestion of the rule (kind Direct), or the logs ingestion URI ` +
    'of its data collection endpoint, in the same region.'
  );
}
