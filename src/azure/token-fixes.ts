import type { CredentialConfig } from '../config/config.ts';
import type { UploadResult } from '../delivery/ingestion.ts';
import { type Explanation, explainNetwork, tunnelFix, tunnelStatusIn } from './network-fixes.ts';

type NoToken = Pick<Extract<UploadResult, { type: 'no_token' }>, 'refused' | 'aadsts' | 'reason' | 'message'>;

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

/** By Entra's number: https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
const fixes: Readonly<Record<string, string>> = {
  AADSTS7000215:
    'AZURE_CLIENT_SECRET is wrong. It must be the "Value" of a client secret (Certificates & secrets), not its "Secret ID"; Entra shows the ' +
    'value only once, so make a new one if it is lost.',
  AADSTS7000222:
    'AZURE_CLIENT_SECRET has expired. Make a new client secret (Entra, app registration, Certificates & secrets; or ' +
    '`az ad app credential reset --id <client id> --append`), set it and restart. Everything accepted waits until then.',
  AADSTS7000216:
    'No proof of the client was sent: set AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE.',
  AADSTS700016: `No such application in this tenant. ${application}`,
  AADSTS7000112:
    'The application is disabled in Entra: enable its enterprise application ("Enabled for users to sign in").',
  AADSTS7000229: 'The app has no service principal in this tenant: `az ad sp create --id <client id>`.',
  AADSTS90002: `No such tenant. ${tenant}`,
  AADSTS900021: `No such tenant. ${tenant}`,
  AADSTS900023: `That is no tenant. ${tenant}`,
  AADSTS700027: `Entra does not know the certificate that signed. ${certificate}`,
  AADSTS700024: `The assertion is outside its time. Check the clock of this machine, and that AZURE_FEDERATED_TOKEN_FILE is renewed.`,
  AADSTS70021: `No federated credential matches. ${federation}`,
  AADSTS700211: `No federated credential has the issuer of the token. ${federation}`,
  AADSTS700212: `No federated credential has the audience of the token. ${federation}`,
  AADSTS700213: `No federated credential has the subject of the token. ${federation}`,
  AADSTS500011:
    'Azure Monitor is not known in this tenant: AZURE_CLOUD and AZURE_AUTHORITY_HOST must be those of the tenant.',
  AADSTS53003: 'Conditional access blocks this sign-in: allow the workload identity from the address of this machine.',
  AADSTS530003: 'Conditional access blocks this sign-in: allow the workload identity from the address of this machine.',
};

/** What to do when no token could be had. */
export function explainTokenFailure(failure: NoToken, credential: CredentialConfig): Explanation {
  const { refused, aadsts, message } = failure;
  const what = refused ? 'The sign-in to Azure was refused' : 'No token could be fetched';
  const reason = `${what}: ${failure.reason}`;
  const status = tunnelStatusIn(failure.reason);
  if (status !== null) return { reason, fix: tunnelFix(status), message };
  if (!refused) return { reason, fix: unreachableFix(failure.reason, credential), message };
  const known = aadsts === null ? undefined : fixes[aadsts];
  if (known !== undefined) return { reason, fix: known, message };
  if (aadsts !== null) {
    const code = aadsts.slice('AADSTS'.length);
    return {
      reason,
      fix: `Look up ${aadsts} at https://login.microsoftonline.com/error?code=${code}. ${variablesOf(credential)}`,
      message,
    };
  }
  return { reason, fix: variablesOf(credential), message };
}

function unreachableFix(reason: string, credential: CredentialConfig): string {
  if (credential.type === 'managed') {
    return (
      'The managed identity endpoint does not answer. Outside Azure there is none: set AZURE_TENANT_ID, AZURE_CLIENT_ID and ' +
      'AZURE_CLIENT_SECRET. In Azure, turn the identity on, and put 169.254.169.254 into NO_PROXY.'
    );
  }
  if (/HTTP (408|429|5\d\d)/.test(reason))
    return 'Nothing, it is tried again. If it goes on, look at the status of Microsoft Entra ID.';
  return explainNetwork(reason, new URL(credential.authorityHost).host, 'AZURE_AUTHORITY_HOST or AZURE_CLOUD');
}

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
