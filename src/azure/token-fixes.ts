import type { CredentialConfig } from '../config/credential.ts';
import { isPassing } from '../delivery/backoff.ts';
import type { Explanation } from '../delivery/event.ts';
import type { TokenFailure } from '../delivery/outcome.ts';
import { explainNetwork, tunnelFix } from './answer.ts';

const federation =
  'In Entra, open the app registration, Certificates & secrets, Federated credentials: issuer, subject and audience must be exactly those ' +
  'of the token in AZURE_FEDERATED_TOKEN_FILE (audience api://AzureADTokenExchange). A new one takes some minutes to count.';
const application =
  'AZURE_CLIENT_ID must be the "Application (client) ID" of the app registration, and AZURE_TENANT_ID the directory it is in.';
const tenant =
  'AZURE_TENANT_ID must be the "Directory (tenant) ID" of Entra (a GUID, or a domain of it), and AZURE_CLOUD its cloud.';
const certificate =
  'Upload the certificate of AZURE_CLIENT_CERTIFICATE_PATH to the app registration (Certificates & secrets, Certificates); the file must ' +
  'hold that certificate and its private key in PEM.';

const certificateExpired =
  'The certificate of AZURE_CLIENT_CERTIFICATE_PATH has expired. Make a new one, upload it to the app registration (Certificates & ' +
  'secrets, Certificates), and put it with its private key in the place of the file; it is read at the next sign-in.';

/** By Entra's number: https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
const fixes: Readonly<Record<string, string>> = {
  AADSTS7000215:
    'AZURE_CLIENT_SECRET is wrong. It must be the "Value" of a client secret (Certificates & secrets), not its "Secret ID"; Entra shows the ' +
    'value only once, so make a new one if it is lost.',
  AADSTS7000222:
    'AZURE_CLIENT_SECRET has expired. Make a new client secret (Entra, app registration, Certificates & secrets; or ' +
    '`az ad app credential reset --id <client id> --append`), set it and restart; where AZURE_CLIENT_SECRET_FILE holds it, SIGHUP is enough. ' +
    'Everything accepted waits until then.',
  AADSTS7000216:
    'No proof of the client was sent: set AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE.',
  AADSTS700016: `No such application in this tenant. ${application}`,
  AADSTS7000112:
    'The application is disabled in Entra: enable its enterprise application ("Enabled for users to sign in").',
  AADSTS7000229: 'The app has no service principal in this tenant: `az ad sp create --id <client id>`.',
  AADSTS90002: `No such tenant. ${tenant}`,
  AADSTS900021: `No such tenant. ${tenant}`,
  AADSTS900023: `That is no tenant. ${tenant}`,
  AADSTS700027: `Entra does not know the certificate that signed: it is not registered on the application. ${certificate}`,
  AADSTS700024: `The assertion is outside its time. Check the clock of this machine, and that AZURE_FEDERATED_TOKEN_FILE is renewed.`,
  AADSTS70021: `No federated credential matches. ${federation}`,
  AADSTS700211: `No federated credential has the issuer of the token. ${federation}`,
  AADSTS700212: `No federated credential has the audience of the token. ${federation}`,
  AADSTS700213: `No federated credential has the subject of the token. ${federation}`,
  AADSTS500011:
    'The audience is not known in this tenant: AZURE_CLOUD and AZURE_AUTHORITY_HOST must be those of the tenant.',
  AADSTS53003: 'Conditional access blocks this sign-in: allow the workload identity from the address of this machine.',
  AADSTS530003: 'Conditional access blocks this sign-in: allow the workload identity from the address of this machine.',
};

export function explainTokenFailure(failure: TokenFailure, credential: CredentialConfig): Explanation {
  const { code, message, said } = failure;
  const refused = code === 'token_refused';
  const what = refused ? 'The sign-in to Azure was refused' : 'No token could be fetched';
  const fix = refused ? refusalFix(failure, credential) : unreachableFix(message, credential);
  return { reason: `${what}: ${message}`, fix, message: said };
}

/** For a terminal, which may show what Entra, Azure or something in between said. */
export function inFull({ reason, message, fix }: Explanation) {
  return { message: message ? `${reason.replace(/\.$/, '')}. It said: ${message}` : reason, fix };
}

function refusalFix({ aadsts, message, said }: TokenFailure, credential: CredentialConfig): string {
  if (aadsts === null) {
    return credential.type === 'managed' && message.startsWith('Azure Arc at ') ? arc : variablesOf(credential);
  }
  // Entra uses this number for two faults, and its text says which.
  if (aadsts === 'AADSTS700027' && /\bexpired\b/i.test(said ?? '')) return certificateExpired;
  // AADSTS500011 names Azure Monitor, or Resource Manager for the incidents commands.
  const audience = /resource principal named (https:\/\/[\w.-]+)/.exec(said ?? '')?.[1] ?? 'The audience';
  const code = aadsts.slice('AADSTS'.length);
  const lookUp = `Look up ${aadsts} at https://login.microsoftonline.com/error?code=${code}.`;
  return fixes[aadsts]?.replace('The audience', audience) ?? `${lookUp} ${variablesOf(credential)}`;
}

function unreachableFix(reason: string, credential: CredentialConfig): string {
  const status = Number(/^\S+ answered HTTP (\d+)/.exec(reason)?.[1] ?? 0);
  if (credential.type === 'managed') {
    return status === 0 ? silentIdentityFix(reason) : (identityFixes[status] ?? identityFault);
  }
  if (isPassing(status)) {
    return 'Nothing, it is tried again. If it goes on, look at the status of Microsoft Entra ID, and at the proxy if there is one.';
  }
  const { host } = new URL(credential.authorityHost);
  if (status === 407) return tunnelFix(status);
  if (status === 0) return explainNetwork(reason, host, 'AZURE_AUTHORITY_HOST or AZURE_CLOUD');
  return (
    `This is no answer of Entra's: a proxy or firewall between gave it. Let HTTPS to ${host} through, and look at HTTPS_PROXY, ` +
    'NO_PROXY and AZURE_AUTHORITY_HOST.'
  );
}

/** https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#retry-guidance */
const identityFixes: Readonly<Record<number, string>> = {
  404:
    'Nothing, it is tried again: the identity endpoint is being updated. If it goes on, restart this machine or app, and look ' +
    'at whether its managed identity is turned on.',
  410: 'Nothing, it is tried again: the identity endpoint is being upgraded, which takes up to 70 seconds.',
  429:
    'Nothing, it is tried again: the identity endpoint was asked too often. If it goes on, look for another program on this ' +
    'machine that asks without pause.',
};
const identityFault =
  'Nothing, it is tried again. If it goes on, restart this machine or app, and look at Azure Service Health for its region.';

/** Nobody answered at all. Only the metadata service has an address that says nothing of where this runs. */
function silentIdentityFix(reason: string): string {
  if (/^[^\s/]+:40342: /.test(reason)) return `The agent of Azure Arc does not answer. ${arc}`;
  if (/^(169\.254\.169\.254: |No token for )/.test(reason)) {
    return (
      'The managed identity endpoint does not answer. Outside Azure there is none: set AZURE_TENANT_ID, AZURE_CLIENT_ID and ' +
      'AZURE_CLIENT_SECRET. In Azure, turn the identity on, and let 169.254.169.254 through the firewall of this machine.'
    );
  }
  return (
    'The identity endpoint that the environment names (IDENTITY_ENDPOINT, MSI_ENDPOINT) does not answer. Turn the managed identity ' +
    'of this app on and restart it; outside Azure unset these variables.'
  );
}

const arc =
  'On a server with Azure Arc the user that runs the service must be in the group himds (`usermod -aG himds <user>`, then restart). ' +
  'A container can neither reach the agent nor read its keys: give it AZURE_CLIENT_CERTIFICATE_PATH or AZURE_CLIENT_SECRET.';

function variablesOf(credential: CredentialConfig): string {
  switch (credential.type) {
    case 'secret':
      return 'Check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET.';
    case 'certificate':
      return `Check AZURE_TENANT_ID and AZURE_CLIENT_ID. ${certificate}`;
    case 'workload':
      return `Check AZURE_TENANT_ID, AZURE_CLIENT_ID and that AZURE_FEDERATED_TOKEN_FILE (${credential.tokenFile}) can be read. ${federation}`;
    case 'managed':
      return credential.clientId === null
        ? 'Turn on the system-assigned identity of this machine or app, or name a user-assigned one in AZURE_CLIENT_ID.'
        : `Assign the user-assigned identity with client id ${credential.clientId} (AZURE_CLIENT_ID) to this machine or app.`;
  }
}
