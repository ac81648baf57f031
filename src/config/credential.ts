import { existsSync, readFileSync, statSync } from 'node:fs';
import { readCertificate } from './certificate.ts';
import type { CloudSettings } from './clouds.ts';
import type { CredentialConfig } from './config.ts';
import type { Environment } from './read.ts';
import { accessProblem, type ConfigProblem, fileProblem } from './variable.ts';
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

/** What there is to say of a credential. */
interface Findings {
  readonly problems: ConfigProblem[];
  /** What Entra will refuse now although it is right in itself: a certificate that has expired, or is not valid yet. */
  readonly lapsed: ConfigProblem[];
  readonly warnings: ConfigProblem[];
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
 * but have a problem of their own already, which is not to be reported twice. The credential is null when something that
 * it needs is missing.
 */
export function chooseCredential(
  values: CredentialValues,
  { cloud, failed }: { readonly cloud: CloudSettings; readonly failed: ReadonlySet<string> },
): Findings & { readonly credential: CredentialConfig | null } {
  const isSet = (name: CredentialName): boolean => values[name] !== null || failed.has(name);
  const [chosen, ...ignored] = signIns.filter(isSet);
  const idle = details.filter(([name, needed]) => isSet(name) && needed !== chosen).map(([name]) => name);
  const found: Findings = { problems: [], lapsed: [], warnings: [] };
  const { problems, warnings } = found;
  warnings.push(
    ...ignored.map((name) => ({ name, message: `has no effect, because ${chosen} is set and goes first` })),
    ...idle.map((name) => ({ name, message: `has no effect: ${chosen ?? 'a managed identity'} signs in without it` })),
  );
  const { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: clientId } = values;
  if (chosen === undefined) {
    if (isSet('AZURE_TENANT_ID')) problems.push(tenantAlone);
    return { credential: { type: 'managed', clientId }, ...found };
  }
  const missing = (['AZURE_TENANT_ID', 'AZURE_CLIENT_ID'] as const).filter((name) => !isSet(name));
  problems.push(...missing.map((name) => ({ name, message: `is not set, but ${chosen} needs it to sign in` })));
  const proof = readProof(chosen, { values, failed, found });
  if (tenantId === null || clientId === null || proof === null) return { credential: null, ...found };
  const authorityHost = values.AZURE_AUTHORITY_HOST ?? cloud.authorityHost;
  const instanceDiscovery = microsoftAuthorities.has(new URL(authorityHost).host);
  return { credential: { ...proof, tenantId, clientId, authorityHost, instanceDiscovery }, ...found };
}

const tenantAlone: ConfigProblem = {
  name: 'AZURE_TENANT_ID',
  message:
    `is set, but none of ${signIns.join(', ')} is; set one of them, or unset AZURE_TENANT_ID to sign in with a managed ` +
    'identity',
};

interface Proving {
  readonly values: CredentialValues;
  readonly failed: ReadonlySet<string>;
  readonly found: Findings;
}

/** What it signs in with, null when that has a problem of its own. What there is to say of it is added to `found`. */
function readProof(chosen: (typeof signIns)[number], { values, failed, found }: Proving) {
  const proof = values[chosen];
  switch (chosen) {
    case 'AZURE_CLIENT_SECRET': {
      const expiresAt = values.AZURE_CLIENT_SECRET_EXPIRES;
      found.warnings.push(...endWarnings('AZURE_CLIENT_SECRET_EXPIRES', expiresAt));
      return proof === null ? null : ({ type: 'secret', clientSecret: proof, expiresAt } as const);
    }
    case 'AZURE_CLIENT_CERTIFICATE_PATH': {
      const certificatePassword = values.AZURE_CLIENT_CERTIFICATE_PASSWORD;
      if (proof === null) return null;
      if (!failed.has('AZURE_CLIENT_CERTIFICATE_PASSWORD')) checkCertificate(proof, certificatePassword, found);
      return { type: 'certificate', certificatePath: proof, certificatePassword } as const;
    }
    case 'AZURE_FEDERATED_TOKEN_FILE': {
      if (proof === null) return null;
      // A warning, since a token file may come later, which a certificate does not.
      const problem = accessProblem(proof);
      if (problem !== null) found.warnings.push({ name: chosen, message: fileProblem(proof, problem) });
      return { type: 'workload', tokenFile: proof } as const;
    }
  }
}

function checkCertificate(path: string, password: string | null, { problems, lapsed, warnings }: Findings): void {
  const name = 'AZURE_CLIENT_CERTIFICATE_PATH';
  const reading = readCertificate(path, password);
  if (!reading.ok) {
    const about = reading.about === 'file' ? name : 'AZURE_CLIENT_CERTIFICATE_PASSWORD';
    problems.push({ name: about, message: reading.problem });
    return;
  }
  const { startsAt, endsAt, warnings: doubts } = reading.certificate;
  const nowMs = Date.now();
  warnings.push(...doubts.map((message) => ({ name, message })));
  if (doubts.length === 0 && nowMs < endsAt) warnings.push(...endWarnings(name, endsAt));
  if (nowMs < startsAt) {
    const message = `names a certificate that is not valid before ${dayOf(startsAt)}; check the clock of this machine`;
    lapsed.push({ name, message });
  } else if (nowMs >= endsAt) {
    const message =
      `names a certificate that expired on ${dayOf(endsAt)}; make a new one, upload it to the app registration ` +
      '(Certificates & secrets, Certificates), and put it with its private key in the place of the file';
    lapsed.push({ name, message });
  }
}

function endWarnings(name: CredentialName, endsAt: number | null): ConfigProblem[] {
  if (endsAt === null || endsAt - Date.now() >= endWarningMs) return [];
  const verb = endsAt <= Date.now() ? 'ended' : 'ends';
  const message = `says that the credential ${verb} on ${dayOf(endsAt)}; make a new one`;
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
const identityEndpoints = ['IDENTITY_ENDPOINT', 'MSI_ENDPOINT', 'IMDS_ENDPOINT', 'AZURE_POD_IDENTITY_AUTHORITY_HOST'];

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
