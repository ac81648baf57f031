import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { readCertificate, unreadableMessage } from './certificate.ts';
import type { CloudSettings } from './clouds.ts';
import type { CredentialConfig } from './config.ts';
import type { Environment } from './read.ts';
import type { ConfigProblem } from './variable.ts';
import type { Values } from './variables.ts';

/** What `chooseCredential` goes by, beside AZURE_CLOUD. */
export const credentialNames = [
  'AZURE_TENANT_ID',
  'AZURE_CLIENT_ID',
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_SECRET_EXPIRES',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'AZURE_CLIENT_CERTIFICATE_PASSWORD',
  'AZURE_FEDERATED_TOKEN_FILE',
  'AZURE_AUTHORITY_HOST',
] as const;

type CredentialName = (typeof credentialNames)[number];

export interface CredentialChoice {
  /** Null when something that it needs is missing. */
  readonly credential: CredentialConfig | null;
  readonly problems: readonly ConfigProblem[];
  /** Right in itself, and Entra will refuse it at this time: a certificate that has expired, or is not valid yet. */
  readonly lapsed: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
}

/** From when on a credential's end is warned of: what it takes people to get a new one. */
export const endWarningMs = 30 * 86_400_000;

/** In the order in which they win when several are set. */
const signIns = ['AZURE_CLIENT_SECRET', 'AZURE_CLIENT_CERTIFICATE_PATH', 'AZURE_FEDERATED_TOKEN_FILE'] as const;

/** MSAL knows these without asking: @azure/msal-node, KnownAuthorities and the hosts of its built-in metadata. */
const microsoftAuthorities = new Set([
  'login.microsoftonline.com',
  'login.windows.net',
  'login.microsoft.com',
  'sts.windows.net',
  'login.microsoftonline.us',
  'login.usgovcloudapi.net',
  'login-us.microsoftonline.com',
  'login.chinacloudapi.cn',
  'login.partner.microsoftonline.cn',
]);

export interface ChoiceContext {
  readonly cloud: CloudSettings;
  /** Variables that are set but have a problem of their own already, which is not to be reported twice. */
  readonly failed: ReadonlySet<string>;
  readonly nowMs?: number;
}

/**
 * What is set decides the credential: secret, certificate, workload identity, else a managed identity. Half a set is a
 * problem, since the service would otherwise sign in as somebody else than was meant.
 */
export function chooseCredential(
  values: Pick<Values, CredentialName>,
  { cloud, failed, nowMs = Date.now() }: ChoiceContext,
): CredentialChoice {
  const isSet = (name: CredentialName): boolean => values[name] !== null || failed.has(name);
  const [chosen, ...ignored] = signIns.filter(isSet);
  const idle = unusedDetails.filter(([name, needed]) => isSet(name) && needed !== chosen).map(([name]) => name);
  const warnings: ConfigProblem[] = [
    ...ignored.map((name) => ({ name, message: `has no effect, because ${chosen} is set and goes first` })),
    ...idle.map((name) => ({ name, message: `has no effect: ${chosen ?? 'a managed identity'} signs in without it` })),
  ];
  if (chosen === undefined) {
    const credential = { type: 'managed', clientId: values.AZURE_CLIENT_ID } as const;
    return { credential, problems: isSet('AZURE_TENANT_ID') ? [tenantAlone] : [], lapsed: [], warnings };
  }
  const missing: ConfigProblem[] = (['AZURE_TENANT_ID', 'AZURE_CLIENT_ID'] as const)
    .filter((name) => !isSet(name))
    .map((name) => ({ name, message: `is not set, but ${chosen} needs it to sign in` }));
  const checked = checkProof(chosen, values, { failed, nowMs });
  return {
    credential: assemble(chosen, values, cloud),
    problems: [...missing, ...checked.problems],
    lapsed: checked.lapsed,
    warnings: [...warnings, ...checked.warnings],
  };
}

const tenantAlone: ConfigProblem = {
  name: 'AZURE_TENANT_ID',
  message:
    `is set, but none of ${signIns.join(', ')} is; set one of them, or unset AZURE_TENANT_ID to sign in with a managed ` +
    'identity',
};

/** What says more of one of the ways to sign in, and nothing without it. */
const unusedDetails = [
  ['AZURE_CLIENT_SECRET_EXPIRES', 'AZURE_CLIENT_SECRET'],
  ['AZURE_CLIENT_CERTIFICATE_PASSWORD', 'AZURE_CLIENT_CERTIFICATE_PATH'],
] as const;

function assemble(
  chosen: (typeof signIns)[number],
  values: Pick<Values, CredentialName>,
  cloud: CloudSettings,
): CredentialConfig | null {
  const authorityHost = values.AZURE_AUTHORITY_HOST ?? cloud.authorityHost;
  const instanceDiscovery = microsoftAuthorities.has(new URL(authorityHost).host);
  const { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: clientId } = values;
  const detail = values[chosen];
  if (tenantId === null || clientId === null || detail === null) return null;
  const common = { tenantId, clientId, authorityHost, instanceDiscovery };
  switch (chosen) {
    case 'AZURE_CLIENT_SECRET':
      return { type: 'secret', clientSecret: detail, expiresAt: values.AZURE_CLIENT_SECRET_EXPIRES, ...common };
    case 'AZURE_CLIENT_CERTIFICATE_PATH':
      return {
        type: 'certificate',
        certificatePath: detail,
        certificatePassword: values.AZURE_CLIENT_CERTIFICATE_PASSWORD,
        ...common,
      };
    case 'AZURE_FEDERATED_TOKEN_FILE':
      return { type: 'workload', tokenFile: detail, ...common };
  }
}

interface Checked {
  readonly problems: ConfigProblem[];
  readonly lapsed: ConfigProblem[];
  readonly warnings: ConfigProblem[];
}

/** What it signs in with: whether it can be read, and how long it lasts. */
function checkProof(
  chosen: (typeof signIns)[number],
  values: Pick<Values, CredentialName>,
  { failed, nowMs }: { readonly failed: ReadonlySet<string>; readonly nowMs: number },
): Checked {
  const checked: Checked = { problems: [], lapsed: [], warnings: [] };
  const path = chosen === 'AZURE_CLIENT_SECRET' ? null : values[chosen];
  if (chosen === 'AZURE_CLIENT_SECRET') {
    const endsAt = values.AZURE_CLIENT_SECRET_EXPIRES;
    if (endsAt !== null) checked.warnings.push(...endWarnings('AZURE_CLIENT_SECRET_EXPIRES', endsAt, nowMs));
  } else if (path !== null && chosen === 'AZURE_FEDERATED_TOKEN_FILE') {
    // A token file may come later, a certificate does not.
    const message = unreadable(path);
    if (message !== null) checked.warnings.push({ name: chosen, message });
  } else if (path !== null && !failed.has('AZURE_CLIENT_CERTIFICATE_PASSWORD')) {
    checkCertificate(path, values.AZURE_CLIENT_CERTIFICATE_PASSWORD, nowMs, checked);
  }
  return checked;
}

function checkCertificate(path: string, password: string | null, nowMs: number, checked: Checked): void {
  const name = 'AZURE_CLIENT_CERTIFICATE_PATH';
  const reading = readCertificate(path, password);
  if (!reading.ok) {
    const aboutFile = reading.about === 'file';
    checked.problems.push({ name: aboutFile ? name : 'AZURE_CLIENT_CERTIFICATE_PASSWORD', message: reading.problem });
    return;
  }
  const { startsAt, endsAt, warnings } = reading.certificate;
  if (nowMs < startsAt) {
    const message = `names a certificate that is not valid before ${dayOf(startsAt)}; check the clock of this machine`;
    checked.lapsed.push({ name, message });
  } else if (nowMs >= endsAt) {
    const message =
      `names a certificate that expired on ${dayOf(endsAt)}; make a new one, upload it to the app registration ` +
      '(Certificates & secrets, Certificates), and put it with its private key in the place of the file';
    checked.lapsed.push({ name, message });
  }
  const all = warnings.map((message) => ({ name, message }));
  checked.warnings.push(...(all.length > 0 ? all : nowMs < endsAt ? endWarnings(name, endsAt, nowMs) : []));
}

function endWarnings(name: CredentialName, endsAt: number, nowMs: number): ConfigProblem[] {
  if (endsAt - nowMs >= endWarningMs) return [];
  const isOver = endsAt <= nowMs;
  return [
    { name, message: `says that the credential ${isOver ? 'ended' : 'ends'} on ${dayOf(endsAt)}; make a new one` },
  ];
}

function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

/**
 * When the credential ends, in milliseconds since the epoch; null where that cannot be known. A certificate that was
 * renewed on the disk counts at once; its file is only looked at where nothing in it changed, since to open an encrypted
 * key takes a good part of a second.
 */
export function createCredentialEnd(credential: CredentialConfig): () => number | null {
  if (credential.type === 'secret') return () => credential.expiresAt ?? null;
  if (credential.type !== 'certificate') return () => null;
  const { certificatePath: path, certificatePassword: password } = credential;
  let seen = '';
  let endsAt: number | null = null;
  return () => {
    const now = stateOf(path);
    if (now !== seen) {
      const reading = readCertificate(path, password);
      endsAt = reading.ok ? reading.certificate.endsAt : null;
      seen = now;
    }
    return endsAt;
  };
}

/** Differs when the file does. */
function stateOf(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    return unreadableMessage(path, error);
  }
}

function unreadable(path: string): string | null {
  try {
    accessSync(path, constants.R_OK);
    return null;
  } catch (error) {
    return unreadableMessage(path, error);
  }
}

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
