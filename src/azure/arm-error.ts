import type { PipelineResponse } from '@azure/core-rest-pipeline';
import { isPassing, parseRetryAfter } from '../delivery/backoff.ts';
import type { TokenFailure } from '../delivery/outcome.ts';
import { CodedError } from '../ground/error.ts';
import { textOf } from '../ground/json.ts';
import { errorDetailOf, errorObjectOf } from './answer.ts';
import type { ArmClientOptions } from './arm-client.ts';
import { grantFix, rejectedTokenFix } from './fixes.ts';

/** docs/errors.md says what each means. */
type ArmErrorCode =
  | 'workspace_not_found'
  | 'sentinel_not_enabled'
  | 'provider_not_registered'
  | 'api_version_refused'
  | 'role_missing'
  | 'query_refused'
  | 'token_rejected'
  | TokenFailure['code']
  | 'azure_refused'
  | 'azure_unavailable'
  | 'answer_unreadable'
  | 'paging_broken'
  | 'aborted';

/** Something was asked of Resource Manager in vain. Holds no secret. */
export class ArmError extends CodedError<ArmErrorCode> {
  override readonly name = 'ArmError';
  /** What a person has to do; empty when nothing has to be done. */
  readonly fix: string;
  /** The status of Azure's answer; null when none came. */
  readonly status: number | null;
  readonly retryAfterMs: number | null;

  constructor(code: ArmErrorCode, message: string, fix = '', answered: Partial<ArmError> = {}) {
    super(code, message);
    this.fix = fix;
    this.status = answered.status ?? null;
    this.retryAfterMs = answered.retryAfterMs ?? null;
  }

  /** Whether sending the question again can help. */
  get isPassing(): boolean {
    return this.code === 'azure_unavailable' || this.code === 'token_unreachable';
  }
}

/** What the questions were asked with, so that the advice can name it. */
type ArmContext = Pick<ArmClientOptions, 'workspaceId' | 'origin' | 'credential' | 'clock'>;

/** Of an answer that is no success. `what` was asked for: `the incidents`. */
export function errorOfAnswer(response: PipelineResponse, what: string, context: ArmContext): ArmError {
  const { status, headers, request } = response;
  const { code, message: words } = errorDetailOf(response);
  // Sentinel's own service puts an error as JSON into the message of another one.
  const message = textOf(errorObjectOf(words ?? '')?.['message']) ?? words;
  const said = [code, message].filter((part) => part !== null).join(': ');
  const reason = `Azure answered ${status}${said === '' ? '' : ` (${said})`} when asked for ${what}, request ${request.requestId}.`;
  const [errorCode, fix] = judge({ code, message, status }, new URL(request.url).pathname, context);
  const retryAfterMs = parseRetryAfter(headers.get('Retry-After') ?? null, context.clock.now());
  return new ArmError(errorCode, reason, fix, { status, retryAfterMs });
}

type Judgement = readonly [code: ArmErrorCode, fix: string];

type Answer = ReturnType<typeof errorDetailOf> & { readonly status: number };

function judge(answer: Answer, path: string, context: ArmContext): Judgement {
  const { status } = answer;
  const { workspaceId, origin, credential } = context;
  const refusal = judgeProvider(answer, path, origin);
  if (refusal !== null) return refusal;
  const resource = workspaceId === null ? 'resource' : 'workspace (public or usgov)';
  if (status === 401) return ['token_rejected', rejectedTokenFix(credential, resource)];
  if (status === 400 || status === 403 || status === 404) {
    // Who asks for something else knows its role and where its id comes from.
    return workspaceId === null ? ['azure_refused', ''] : judgeOfWorkspace(answer, { ...context, workspaceId });
  }
  if (isPassing(status)) return ['azure_unavailable', againFix];
  return ['azure_refused', `${undocumentedFix} ${originHint(origin)}`];
}

const againFix =
  'Try again later. If it goes on, look at Azure Service Health, and at what else reads from this subscription.';
const undocumentedFix =
  'Azure documents no such answer: something between may have given it. Redirects are not followed: they carry tokens elsewhere.';

const versionCode =
  /^(InvalidApiVersionParameter|InvalidResourceType|MissingApiVersionParameter|NoRegisteredProviderFound)$/;

/**
 * What Resource Manager refuses before it asks the provider of the resource; null for any other answer. The status is
 * not looked at: the same code is reported with 400, 404 and 409 (AzureTRE#4510, neonKUBE#1670). `path`: of the question.
 */
function judgeProvider({ code, message }: Answer, path: string, origin: string): Judgement | null {
  const registration = /not registered to (?:use namespace )?'(Microsoft\.[A-Za-z.]{1,60})'/i.exec(message ?? '');
  if (code === 'MissingSubscriptionRegistration' || registration !== null) {
    const namespace = registration?.[1] ?? path.match(/(?<=\/providers\/)[^/]+/gi)?.at(-1);
    const subscription = /^\/subscriptions\/([^/]+)/i.exec(path)?.[1] ?? '<subscription id>';
    return [
      'provider_not_registered',
      `Register the resource provider once: \`az provider register --namespace ${namespace} --subscription ${subscription} ` +
        '--wait` (portal: the subscription, Resource providers). This takes the role Contributor on the subscription.',
    ];
  }
  if (code === null || !versionCode.test(code)) return null;
  return [
    'api_version_refused',
    `${new URL(origin).host} does not offer the api-version that this release asks with. ${originHint(origin)} If both are ` +
      'right, Azure has retired that version: install a newer release.',
  ];
}

type WorkspaceContext = ArmContext & { readonly workspaceId: string };

function judgeOfWorkspace(answer: Answer, context: WorkspaceContext): Judgement {
  const { status, message, code } = answer;
  if (status === 403) return ['role_missing', roleFix(answer, context)];
  const said = `${code} ${message}`;
  if (status === 404 || /InvalidSubscriptionId|InvalidResourceGroup|InvalidResourceName/i.test(said)) {
    return ['workspace_not_found', workspaceFix(context)];
  }
  // "Workspace 'x' is not onboarded to Microsoft Sentinel. Please onboard through the portal …"
  if (/not onboarded to (Microsoft|Azure) Sentinel/i.test(said)) {
    const workspace = context.workspaceId.split('/').at(-1);
    return [
      'sentinel_not_enabled',
      `Add Microsoft Sentinel to the workspace ${workspace} (portal: Microsoft Sentinel, Create), or set SENTINEL_WORKSPACE_ID to the workspace that has it.`,
    ];
  }
  return [
    'query_refused',
    "Compare --filter with the API: texts in single quotes, those inside doubled (properties/severity eq 'High'), times bare " +
      '(2026-11-01T00:00:00Z). If it came in the middle of an export, run it again.',
  ];
}

function roleFix({ message }: Answer, { credential, workspaceId }: WorkspaceContext): string {
  // The alerts and entities of an incident are asked for by POST, which Resource Manager takes for an action.
  const role = /\/action['"\s]/i.test(message ?? '') ? 'Microsoft Sentinel Responder' : 'Microsoft Sentinel Reader';
  return (
    `${grantFix(role, credential, 'the workspace', workspaceId)} A workspace in a subscription that does not exist is ` +
    'answered like this too: compare SENTINEL_WORKSPACE_ID.'
  );
}

/** What SENTINEL_WORKSPACE_ID is, and where it is found. */
export const workspaceIdForm =
  'the resource id of the Log Analytics workspace: ' +
  '/subscriptions/<id>/resourceGroups/<name>/providers/Microsoft.OperationalInsights/workspaces/<name> (portal: the workspace, ' +
  'JSON view; or `az monitor log-analytics workspace show --resource-group <group> --workspace-name <name> --query id`)';

function workspaceFix({ workspaceId, origin }: WorkspaceContext): string {
  const place = `in the cloud of ${new URL(origin).host}. It is not the workspace id, a GUID.`;
  return `SENTINEL_WORKSPACE_ID (now ${workspaceId}) must be ${workspaceIdForm}, ${place}`;
}

function originHint(origin: string): string {
  return `Resource Manager is ${origin}: AZURE_CLOUD decides it, unless AZURE_RESOURCE_MANAGER_ENDPOINT is set.`;
}
