import { accessSync, constants } from 'node:fs';
import type { CloudSettings, CredentialConfig } from './config.ts';
import type { ConfigProblem } from './parsed.ts';
import type { Values } from './variables.ts';

/** What `chooseCredential` goes by, beside AZURE_CLOUD. */
export const credentialNames = [
  'AZURE_TENANT_ID',
  'AZURE_CLIENT_ID',
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'AZURE_FEDERATED_TOKEN_FILE',
  'AZURE_AUTHORITY_HOST',
] as const;

type CredentialName = (typeof credentialNames)[number];

export interface CredentialChoice {
  /** Null when something that it needs is missing. */
  readonly credential: CredentialConfig | null;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
}

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

/**
 * What is set decides the credential: secret, certificate, workload identity, else a managed identity. Half a set is a
 * problem, since the service would otherwise sign in as somebody else than was meant.
 * `failed`: variables that are set but have a problem of their own already, which is not to be reported twice.
 */
export function chooseCredential(
  values: Pick<Values, CredentialName>,
  cloud: CloudSettings,
  failed: ReadonlySet<string>,
): CredentialChoice {
  const isSet = (name: CredentialName): boolean => values[name] !== null || failed.has(name);
  const [chosen, ...ignored] = signIns.filter(isSet);
  if (chosen === undefined) return chooseManagedIdentity(values, isSet('AZURE_TENANT_ID'));
  const problems: ConfigProblem[] = (['AZURE_TENANT_ID', 'AZURE_CLIENT_ID'] as const)
    .filter((name) => !isSet(name))
    .map((name) => ({ name, message: `is not set, but ${chosen} needs it to sign in` }));
  const warnings: ConfigProblem[] = ignored.map((name) => ({
    name,
    message: `has no effect, because ${chosen} is set and goes first`,
  }));
  const file = checkFile(chosen, values);
  if (file !== null) (chosen === 'AZURE_CLIENT_CERTIFICATE_PATH' ? problems : warnings).push(file);
  return { credential: assemble(chosen, values, cloud), problems, warnings };
}

function chooseManagedIdentity(values: Pick<Values, CredentialName>, tenantIsSet: boolean): CredentialChoice {
  const problems = tenantIsSet
    ? [
        {
          name: 'AZURE_TENANT_ID',
          message:
            `is set, but none of ${signIns.join(', ')} is; set one of them, or unset AZURE_TENANT_ID to sign in with a ` +
            'managed identity',
        },
      ]
    : [];
  return { credential: { type: 'managed', clientId: values.AZURE_CLIENT_ID }, problems, warnings: [] };
}

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
      return { type: 'secret', clientSecret: detail, ...common };
    case 'AZURE_CLIENT_CERTIFICATE_PATH':
      return { type: 'certificate', certificatePath: detail, ...common };
    case 'AZURE_FEDERATED_TOKEN_FILE':
      return { type: 'workload', tokenFile: detail, ...common };
  }
}

/** A token file may come later, a certificate does not. */
function checkFile(chosen: (typeof signIns)[number], values: Pick<Values, CredentialName>): ConfigProblem | null {
  const path = chosen === 'AZURE_CLIENT_SECRET' ? null : values[chosen];
  if (path === null) return null;
  try {
    accessSync(path, constants.R_OK);
    return null;
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    return { name: chosen, message: `names ${JSON.stringify(path)}, which cannot be read (${why})` };
  }
}
