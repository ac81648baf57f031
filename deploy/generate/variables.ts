import type { Variable } from '../../src/config/variable.ts';
import { type VariableName, variableNames, variables } from '../../src/config/variables.ts';

const headings: Readonly<Partial<Record<VariableName, string>>> = {
  APONO_WEBHOOK_SECRET: 'Apono',
  LOGS_INGESTION_ENDPOINT: 'Logs Ingestion API',
  AZURE_CLOUD: 'Azure: cloud and sign-in',
  HOST: 'Listeners',
  DATA_DIR: 'Outbox and delivery',
  TRUST_PROXY: 'Network',
  SHUTDOWN_TIMEOUT_MS: 'Process',
};

const envExampleHead = `# Variables of apono-sentinel. Copy to .env and fill in; what is commented out shows its default or an example.
# Each can be given as <NAME>_FILE too, the path of a file that holds the value (for Docker secrets), except
# ${variableNames.filter((name) => !variables[name].fromFile).join(' and ')}, which are paths already.
# An empty variable is the same as none. \`npm run --silent cli -- check\` says what is wrong.
# HTTPS_PROXY and NO_PROXY work as with curl, NODE_EXTRA_CA_CERTS as with Node.
`;

const envExampleFoot = `
# --- docker-compose.yml only, the service does not read these ---

# The name at which Apono reaches the service; Caddy gets a certificate for it.
#PUBLIC_HOSTNAME=localhost

# Network of the containers, and with it TRUST_PROXY.
#PROXY_SUBNET=172.30.254.0/28
`;

/** The text of .env.example. A test holds the file to it. */
export function renderEnvExample(): string {
  const parts = variableNames.map((name) => {
    const heading = headings[name];
    return `${heading === undefined ? '' : `\n# --- ${heading} ---\n`}\n${envExampleEntry(name, variables[name])}`;
  });
  return envExampleHead + parts.join('') + envExampleFoot;
}

/** The description, and what no reader of a table can know otherwise. */
function meaning({ description, required }: Variable<unknown>): string {
  return `${description}${required ? ' Required.' : ''}`;
}

function envExampleEntry(name: VariableName, variable: Variable<unknown>): string {
  const example = variable.example === '' ? '' : `# For example ${variable.example}\n`;
  const assignment = variable.required ? `${name}=` : `#${name}=${variable.default ?? ''}`;
  return `# ${meaning(variable)}\n${example}${assignment}\n`;
}

/** The table of the variables in Markdown, for the documentation. */
export function renderVariablesTable(): string {
  const rows = variableNames.map((name) => {
    const variable: Variable<unknown> = variables[name];
    const standard = variable.default === null ? '' : `\`${variable.default}\``;
    return `| \`${name}\` | ${standard} | ${meaning(variable).replaceAll('|', '\\|')} |\n`;
  });
  return `| name | default | meaning |\n|---|---|---|\n${rows.join('')}`;
}
