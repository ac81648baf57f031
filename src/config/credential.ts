import { statSync } from 'node:fs';
import { readCertificate } from './certificate.ts';
import { clouds } from './clouds.ts';
import { accessProblem, type ConfigProblem, fileProblem } from './variable.ts';
import type { Values } from './variables.ts';

/** What `chooseCredential` reads. */
export const credentialNames = [
  'AZURE_CLOUD',
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

/** Warn this long before a credential ends, since it takes people about a month to get a new one. */
export const endWarningMs = 30 * 86_400_000;

/** The first that is set is used. */
const signIns = ['AZURE_CLIENT_SECRET', 'AZURE_CLIENT_CERTIFICATE_PATH', 'AZURE_FEDERATED_TOKEN_FILE'] as const;

/** What has no effect without one of the ways to sign in. */
const details = [
  ['AZURE_CLIENT_SECRET_EXPIRES', 'AZURE_CLIENT_SECRET'],
  ['AZURE_CLIENT_CERTIFICATE_PASSWORD', 'AZURE_CLIENT_CERTIFICATE_PATH'],
] as const;

/**
 * What is set decides the credential: secret, certificate, workload identity, else a managed identity. Half a set is a
 * problem, since the service would otherwise sign in as somebody else than was meant. `failed`: variables that are set
 * but have a problem of their own already, which is not to be reported twice. The credential is null when something that
 * it needs is missing. `lapsed`: what Entra will refuse now although it is right in itself.
 */
export function chooseCredential(values: Pick<Values, CredentialName>, failed: ReadonlySet<string>) {
  const isSet = (name: CredentialName): boolean => values[name] !== null || failed.has(name);
  const [chosen, ...ignored] = signIns.filter(isSet);
  const idle = details.filter(([name, needed]) => isSet(name) && needed !== chosen).map(([name]) => name);
  const unused = [
    ...ignored.map((name) => ({ name, message: `has no effect, because ${chosen} is set and goes first` })),
    ...idle.map((name) => ({ name, message: `has no effect: ${chosen ?? 'a managed identity'} signs in without it` })),
  ];
  const { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: clientId } = values;
  if (chosen === undefined) {
    const message =
      `is set, but none of ${signIns.join(', ')} is; set one of them, or unset AZURE_TENANT_ID to sign in with a managed ` +
      'identity';
    const problems = tenantId === null ? [] : [{ name: 'AZURE_TENANT_ID', message }];
    return { credential: { type: 'managed', clientId } as const, problems, lapsed: [], warnings: unused };
  }
  const missing = (['AZURE_TENANT_ID', 'AZURE_CLIENT_ID'] as const).filter((name) => !isSet(name));
  const notSet = missing.map((name) => ({ name, message: `is not set, but ${chosen} needs it to sign in` }));
  const { problems = [], lapsed = [], warnings = [] } = findings(chosen, values, failed);
  const found = { problems: [...notSet, ...problems], lapsed, warnings: [...unused, ...warnings] };
  const proof = values[chosen];
  if (tenantId === null || clientId === null || proof === null) return { credential: null, ...found };
  const authorityHost = values.AZURE_AUTHORITY_HOST ?? clouds[values.AZURE_CLOUD].authorityHost;
  // Not for any other authority: MSAL would ask login.microsoftonline.com about it. Microsoft's older hosts work without.
  const instanceDiscovery = Object.values(clouds).some((one) => one.authorityHost === authorityHost);
  const { AZURE_CLIENT_SECRET_EXPIRES: expiresAt, AZURE_CLIENT_CERTIFICATE_PASSWORD: certificatePassword } = values;
  const ways = {
    AZURE_CLIENT_SECRET: { type: 'secret', clientSecret: proof, expiresAt },
    AZURE_CLIENT_CERTIFICATE_PATH: { type: 'certificate', certificatePath: proof, certificatePassword },
    AZURE_FEDERATED_TOKEN_FILE: { type: 'workload', tokenFile: proof },
  } as const;
  return { credential: { ...ways[chosen], tenantId, clientId, authorityHost, instanceDiscovery }, ...found };
}

export type CredentialConfig = NonNullable<ReturnType<typeof chooseCredential>['credential']>;

/** What there is to say of what it signs in with. */
function findings(chosen: (typeof signIns)[number], values: Pick<Values, CredentialName>, failed: ReadonlySet<string>) {
  const proof = values[chosen];
  const named = (message: string): ConfigProblem => ({ name: chosen, message });
  if (chosen === 'AZURE_CLIENT_SECRET') {
    return { warnings: endWarnings('AZURE_CLIENT_SECRET_EXPIRES', values.AZURE_CLIENT_SECRET_EXPIRES) };
  }
  if (proof === null) return {};
  if (chosen === 'AZURE_FEDERATED_TOKEN_FILE') {
    // A warning, since a token file may come later, which a certificate does not.
    const problem = accessProblem(proof);
    return problem === null ? {} : { warnings: [named(fileProblem(proof, problem))] };
  }
  if (failed.has('AZURE_CLIENT_CERTIFICATE_PASSWORD')) return {};
  const reading = readCertificate(proof, values.AZURE_CLIENT_CERTIFICATE_PASSWORD);
  if (!reading.ok) return { problems: [reading.problem] };
  const { startsAt, endsAt } = reading.certificate;
  const warnings = reading.certificate.warnings.map(named);
  if (Date.now() < startsAt) {
    const message = `names a certificate that is not valid before ${dayOf(startsAt)}; check the clock of this machine`;
    return { lapsed: [named(message)], warnings };
  }
  if (Date.now() < endsAt) return { warnings: [...warnings, ...endWarnings(chosen, endsAt)] };
  const message =
    `names a certificate that expired on ${dayOf(endsAt)}; make a new one, upload it to the app registration ` +
    '(Certificates & secrets, Certificates), and put it with its private key in the place of the file';
  return { lapsed: [named(message)], warnings };
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
  if (credential.type === 'secret') return () => credential.expiresAt;
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
