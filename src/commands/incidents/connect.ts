import type { ArmClientOptions, Retry } from '../../azure/arm-client.ts';
import { ArmError, workspaceIdForm } from '../../azure/arm-error.ts';
import { createIncidents, type Incidents } from '../../azure/incidents.ts';
import { clouds, resourceManagerScope } from '../../config/clouds.ts';
import { credentialNames } from '../../config/credential.ts';
import { readSignIn } from '../../config/load.ts';
import { readVariables } from '../../config/read.ts';
import { systemClock } from '../../ground/clock.ts';
import { type CommandContext, failed, misconfigured, reportWarnings } from '../context.ts';
import { tokensFor } from '../tokens.ts';
import { longWaitMs, waitingText } from './output.ts';

/** Only what these commands use: they work where the service's other variables are not set. */
const names = [...credentialNames, 'SENTINEL_WORKSPACE_ID', 'AZURE_RESOURCE_MANAGER_ENDPOINT', 'LOG_LEVEL'] as const;

export interface Connected {
  readonly incidents: Incidents;
  readonly workspaceId: string;
}

/**
 * Runs `use` with Azure. One question is sent four times at most by default, since a person is waiting. Rejects with a
 * CommandError for wrong variables, and for what Azure refuses.
 */
export async function withIncidents(
  context: CommandContext,
  options: Partial<Pick<ArmClientOptions, 'signal' | 'maxAttempts' | 'onRetry'>>,
  use: (connected: Connected) => Promise<number>,
): Promise<number> {
  const { stderr } = context;
  const { scope, ...settings } = readSettings(context);
  const tokens = tokensFor(settings, scope, stderr);
  const onRetry = (retry: Retry): void => {
    if (retry.delayMs >= longWaitMs) stderr.write(`${waitingText(retry)}\n`);
  };
  const own = { tokens, clock: systemClock, random: Math.random, maxAttempts: 4, onRetry };
  const incidents = createIncidents({ ...settings, ...own, ...options });
  try {
    return await use({ incidents, workspaceId: settings.workspaceId });
  } catch (error) {
    if (!(error instanceof ArmError)) throw error;
    throw failed(armErrorText(error));
  } finally {
    tokens.close();
  }
}

export function armErrorText({ code, message, fix }: ArmError): string {
  return `${code}: ${message}${fix === '' ? '' : `\nFix: ${fix}`}`;
}

function readSettings({ env, stderr }: CommandContext) {
  const reading = readVariables(env, names);
  const { SENTINEL_WORKSPACE_ID: workspaceId, LOG_LEVEL: logLevel, AZURE_CLOUD: cloudName } = reading.values;
  const cloud = clouds[cloudName];
  const origin = reading.values.AZURE_RESOURCE_MANAGER_ENDPOINT ?? cloud.resourceManager;
  const { credential, proxy, ...signIn } = readSignIn(env, reading, [origin]);
  const problems = [...reading.problems, ...signIn.problems];
  if (workspaceId === null && problems.every(({ name }) => name !== 'SENTINEL_WORKSPACE_ID')) {
    problems.push({ name: 'SENTINEL_WORKSPACE_ID', message: `is not set. It is ${workspaceIdForm}` });
  }
  if (cloudName === 'china') problems.push({ name: 'AZURE_CLOUD', message: noSentinelInChina });
  if (problems.length > 0 || workspaceId === null || credential === null) throw misconfigured(problems);
  reportWarnings(stderr, [...signIn.lapsed, ...signIn.warnings]);
  return { scope: resourceManagerScope(cloud), credential, workspaceId, origin, proxy, logLevel };
}

const noSentinelInChina =
  'is china, where Microsoft Sentinel has been retired: there are no incidents to be read. Logs are still delivered to a ' +
  'workspace there';

/** Like Promise.all, but throws the first failure of the list, so that the same failures give the same error. */
export async function allInOrder<T>(questions: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(questions);
  return Promise.all(questions);
}
