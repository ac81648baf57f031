import { existsSync, readFileSync, statSync } from 'node:fs';
import { readCertificate } from './certificate.ts';
import type { CloudSettings } from './clouds.ts';
import type { CredentialConfig } from './config.ts';
import { accessProblem, fileProblem } from './file.ts';
import type { Environment } from './read.ts';
import type { ConfigProblem } from './variable.ts';
import type { Values } from './variables.ts';

/** What `chooseCredential` reads, beside AZURE_CLOUD. */
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
type CredentialValues = Pick<Values, CredentialName>;

interface CredentialChoice {
  /** Null when something that it needs is missing. */
  readonly credential: CredentialConfig | null;
  readonly problems: readonly ConfigProblem[];
  /** What Entra will refuse now although it is right in itself: a certificate that has expired, or is not valid yet. */
  readonly lapsed: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
}

/** Warn this long before a credential ends, since it takes people about a month to get a new one. */
export const endWarningMs = 30 * 86_400_000;

/** The first that is set is used. */
const signIns = ['AZURE_CLIENT_SECRET', 'AZURE_CLIENT_CERTIFICATE_PATH', 'AZURE_FEDERATED_TOKEN_FILE'] as const;

/** What has no effect without one of the ways to sign in. */
const details = [
  ['AZURE_CLIENT_SECRET_EXPIRES', 'AZURE_CLIENT_SECRET'],
  ['AZURE_CLIENT_CERTIFICATE_PASSWORD', 'AZURE_CLIENT_CERTIFICATE_PATH'],
] as const;

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

/**
 * What is set decides the credential: secret, certificate, workload identity, else a managed identity. Half a set is a
 * problem, since the service would otherwise sign in as somebody else than was meant. `failed`: variables that are set
 * but have a problem of their own already, which is not to be reported twice.
 */
export function chooseCredential(
  values: CredentialValues,
  { cloud, failed }: { readonly cloud: CloudSettings; readonly failed: ReadonlySet<string> },
): CredentialChoice {
  const isSet = (name: CredentialName): boolean => values[name] !== null || failed.has(name);
  const [chosen, ...ignored] = signIns.filter(isSet);
  const idle = details.filter(([name, needed]) => isSet(name) && needed !== chosen).map(([name]) => name);
  const warnings: ConfigProblem[] = [
    ...ignored.map((name) => ({ name, message: `has no effect, because ${chosen} is set and goes first` })),
    ...idle.map((name) => ({ name, message: `has no effect: ${chosen ?? 'a managed identity'} signs in without it` })),
  ];
  if (chosen === undefined) {
    const credential = { type: 'managed', clientId: values.AZURE_CLIENT_ID } as const;
    return { credential, problems: isSet('AZURE_TENANT_ID') ? [tenantAlone] : [], lapsed: [], warnings };
  }
  const missing = (['AZURE_TENANT_ID', 'AZURE_CLIENT_ID'] as const).filter((name) => !isSet(name));
  const checked = checkProof(chosen, values, failed);
  return {
    credential: assemble(chosen, values, cloud),
    problems: [
      ...missing.map((name) => ({ name, message: `is not set, but ${chosen} needs it to sign in` })),
      ...checked.problems,
    ],
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

function assemble(
  chosen: (typeof signIns)[number],
  values: CredentialValues,
  cloud: CloudSettings,
): CredentialConfig | null {
  const authorityHost = values.AZURE_AUTHORITY_HOST ?? cloud.authorityHost;
  const { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: clientId, [chosen]: proof } = values;
  if (tenantId === null || clientId === null || proof === null) return null;
  const instanceDiscovery = microsoftAuthorities.has(new URL(authorityHost).host);
  const common = { tenantId, clientId, authorityHost, instanceDiscovery };
  switch (chosen) {
    case 'AZURE_CLIENT_SECRET':
      return { type: 'secret', clientSecret: proof, expiresAt: values.AZURE_CLIENT_SECRET_EXPIRES, ...common };
    case 'AZURE_CLIENT_CERTIFICATE_PATH': {
      const certificatePassword = values.AZURE_CLIENT_CERTIFICATE_PASSWORD;
      return { type: 'certificate', certificatePath: proof, certificatePassword, ...common };
    }
    case 'AZURE_FEDERATED_TOKEN_FILE':
      return { type: 'workload', tokenFile: proof, ...common };
  }
}

type Checked = Omit<CredentialChoice, 'credential'>;

function checkProof(chosen: (typeof signIns)[number], values: CredentialValues, failed: ReadonlySet<string>): Checked {
  const well: Checked = { problems: [], lapsed: [], warnings: [] };
  if (chosen === 'AZURE_CLIENT_SECRET') {
    return { ...well, warnings: endWarnings('AZURE_CLIENT_SECRET_EXPIRES', values.AZURE_CLIENT_SECRET_EXPIRES) };
  }
  const path = values[chosen];
  if (path === null) return well;
  if (chosen === 'AZURE_CLIENT_CERTIFICATE_PATH') {
    if (failed.has('AZURE_CLIENT_CERTIFICATE_PASSWORD')) return well;
    return { ...well, ...checkCertificate(path, values.AZURE_CLIENT_CERTIFICATE_PASSWORD) };
  }
  // A warning, since a token file may come later, which a certificate does not.
  const problem = accessProblem(path);
  return problem === null ? well : { ...well, warnings: [{ name: chosen, message: fileProblem(path, problem) }] };
}

function checkCertificate(path: string, password: string | null): Partial<Checked> {
  const name = 'AZURE_CLIENT_CERTIFICATE_PATH';
  const reading = readCertificate(path, password);
  if (!reading.ok) {
    const about = reading.about === 'file' ? name : 'AZURE_CLIENT_CERTIFICATE_PASSWORD';
    return { problems: [{ name: about, message: reading.problem }] };
  }
  const { startsAt, endsAt, warnings } = reading.certificate;
  const doubts = warnings.map((message) => ({ name, message }));
  const said = doubts.length > 0 || Date.now() >= endsAt ? doubts : endWarnings(name, endsAt);
  if (Date.now() < startsAt) {
    const message = `names a certificate that is not valid before ${dayOf(startsAt)}; check the clock of this machine`;
    return { lapsed: [{ name, message }], warnings: said };
  }
  if (Date.now() >= endsAt) {
    const message =
      `names a certificate that expired on ${dayOf(endsAt)}; make a new one, upload it to the app registration ` +
      '(Certificates & secrets, Certificates), and put it with its private key in the place of the file';
    return { lapsed: [{ name, message }], warnings: said };
  }
  return { warnings: said };
}

function endWarnings(name: CredentialName, endsAt: number | null): ConfigProblem[] {
  const leftMs = endsAt === null ? endWarningMs : endsAt - Date.now();
  if (endsAt === null || leftMs >= endWarningMs) return [];
  const message = `says that the credential ${leftMs <= 0 ? 'ended' : 'ends'} on ${dayOf(endsAt)}; make a new one`;
  return [{ name, message }];
}

function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

/**
 * When the credential ends, in milliseconds since the epoch; null where that cannot be known. A certificate that was
 * renewed on the disk counts at once. Its file is read only when it changed, since opening an encrypted key takes a good
 * part of a second.
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

function stateOf(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return 'unreadable';
  }
}

/** What Azure puts into the environment of its apps, and what people set to name an identity endpoint of their own. */
const identityEndpoints = [
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

/** A warning where nothing to sign in with is set and nothing speaks for a managed identity. Asks nothing over the network. */
export function doubtManagedIdentity(env: Environment): ConfigProblem[] {
  if (identityEndpoints.some((name) => env[name]) || existsSync(arcAgent) || hasChassisTag()) return [];
  const message =
    'is not set, so a managed identity will sign in, but this machine does not look like Azure; outside Azure set ' +
    'AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH)';
  return [{ name: 'AZURE_TENANT_ID', message }];
}

function hasChassisTag(): boolean {
  try {
    return readFileSync('/sys/class/dmi/id/chassis_asset_tag', 'utf8').trim() === chassisTag;
  } catch {
    return false;
  }
}
