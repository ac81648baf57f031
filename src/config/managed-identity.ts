import { existsSync, readFileSync } from 'node:fs';
import type { ConfigProblem } from './parsed.ts';
import type { Environment } from './read.ts';

/** What Azure puts into the environment of its apps, and what people set to name an identity endpoint of their own. */
const endpointNames = [
  'IDENTITY_ENDPOINT',
  'MSI_ENDPOINT',
  'IMDS_ENDPOINT',
  'AZURE_POD_IDENTITY_AUTHORITY_HOST',
] as const;

/** The agent of Azure Arc, which the SDK looks for as well. */
const arcAgent = '/opt/azcmagent/bin/himds';

/**
 * The asset tag that every virtual machine of Azure has, containers on it included:
 * https://github.com/canonical/cloud-init, DataSourceAzure.
 */
const chassisTag = '7783-7084-3265-9085-8269-3286-77';
const chassisTagFile = '/sys/class/dmi/id/chassis_asset_tag';

/** What to tell somebody who has set nothing to sign in with, on a machine where nothing speaks for a managed identity. */
export function doubtManagedIdentity(env: Environment): ConfigProblem[] {
  if (looksLikeAzure(env)) return [];
  const message =
    'is not set, so a managed identity will sign in, but this machine does not look like Azure; outside Azure set ' +
    'AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH)';
  return [{ name: 'AZURE_TENANT_ID', message }];
}

/** Nothing is asked over the network. */
function looksLikeAzure(env: Environment): boolean {
  if (endpointNames.some((name) => (env[name] ?? '') !== '')) return true;
  if (existsSync(arcAgent)) return true;
  try {
    return readFileSync(chassisTagFile, 'utf8').trim() === chassisTag;
  } catch {
    return false;
  }
}
