import { kinds } from '../kinds/registry.ts';
import { clouds } from './clouds.ts';
import { assemble } from './config.ts';
import { chooseCredential, type credentialNames } from './credential.ts';
import { isOnThisMachine, outboxFileProblem } from './outbox-url.ts';
import { guid, ingestionHostProblem, isLoopbackHost } from './parse.ts';
import { readOutgoing } from './proxy.ts';
import { type Environment, findUnknownNames, type Reading, readVariables } from './read.ts';
import { inQuotes } from './secret-text.ts';
import { checkSecrets, type Secrets, secretNames } from './secrets.ts';
import type { ConfigProblem } from './variable.ts';
import { type Values, type VariableName, variableNames, variables } from './variables.ts';

/**
 * Reads and checks all variables. Never throws for what stands in them. `config` is frozen, and null exactly when there
 * are problems; of these there is at most one a variable, in the order of variables.ts. `lapsed`: what was right once
 * and Entra refuses at this time. The service starts all the same, since what it accepts then waits instead of being
 * lost, and the file may be renewed while it runs.
 */
export function loadConfig(env: Environment) {
  const reading = readVariables(env, variableNames);
  const { values, settings } = reading;
  const signIn = readSignIn(env, reading, sentTo(values));
  const problems = inOrder([...reading.problems, ...signIn.problems, ...checkTogether(reading)]);
  const warnings = [...findUnknownNames(env), ...signIn.warnings, ...doubts(reading)].filter(
    ({ name }) => !problems.some((one) => one.name === name),
  );
  const config = problems.length > 0 ? null : assemble(reading, signIn);
  const secrets = Object.fromEntries(secretNames.map((name) => [name, values[name]])) as Secrets;
  return { config, problems, lapsed: signIn.lapsed, warnings, settings, secrets };
}

/** As `check` sees it: what has lapsed is a problem like any other. */
export function checkConfig(env: Environment) {
  const { lapsed, ...loaded } = loadConfig(env);
  if (lapsed.length === 0) return loaded;
  return { ...loaded, config: null, problems: inOrder([...loaded.problems, ...lapsed]) };
}

/**
 * With what Azure is signed in to, and how it is reached. `origins`: the https origins that something would be sent to,
 * beside the authority; null for one that has a problem of its own. Commands call it with the few variables that they read.
 */
export function readSignIn(
  env: Environment,
  { values, problems }: Reading<(typeof credentialNames)[number]>,
  origins: readonly (string | null)[],
) {
  const { credential, lapsed, ...choice } = chooseCredential(values, new Set(problems.map(({ name }) => name)));
  // A managed identity is asked for on this machine or its host.
  const authority = credential === null || credential.type === 'managed' ? [] : [credential.authorityHost];
  const { proxy, ...outgoing } = readOutgoing(env, [...origins, ...authority]);
  const warnings = [...choice.warnings, ...outgoing.warnings];
  return { credential, proxy, problems: [...choice.problems, ...outgoing.problems], lapsed, warnings };
}

/** What is sent to by https; null where it is not known. Resource Manager is asked only where one of its resources or itself is named. */
function sentTo(values: Values): (string | null)[] {
  const { AZURE_RESOURCE_MANAGER_ENDPOINT: manager, DATA_COLLECTION_RULE_RESOURCE_ID: rule } = values;
  const asksManager = manager !== null || rule !== null || values.SENTINEL_WORKSPACE_ID !== null;
  const origin = manager ?? clouds[values.AZURE_CLOUD].resourceManager;
  return [values.LOGS_INGESTION_ENDPOINT, ...(asksManager ? [origin] : [])];
}

/** What is wrong only with several variables taken together. */
function* checkTogether({ values, problems }: Reading<VariableName>): Generator<ConfigProblem> {
  const hasFailed = (variable: VariableName) => problems.some(({ name }) => name === variable);
  const { LOGS_INGESTION_ENDPOINT: endpoint, ADMIN_HOST: adminHost, ADMIN_TOKEN: token } = values;
  const allowed = hasFailed('AZURE_CLOUD') ? Object.values(clouds) : [clouds[values.AZURE_CLOUD]];
  const host = endpoint === null ? null : ingestionHostProblem(endpoint, allowed);
  if (host !== null) yield { name: 'LOGS_INGESTION_ENDPOINT', message: `"${endpoint}" ${host}` };
  if (token === null && !hasFailed('ADMIN_TOKEN') && !hasFailed('ADMIN_HOST') && !isLoopbackHost(adminHost)) {
    const message = 'is required unless ADMIN_HOST is loopback; set a token, or ADMIN_HOST to 127.0.0.1';
    yield { name: 'ADMIN_TOKEN', message };
  }
  if (!hasFailed('PORT') && !hasFailed('ADMIN_PORT') && values.PORT > 0 && values.PORT === values.ADMIN_PORT) {
    const { HOST: host } = values;
    const isShared = host === adminHost || [host, adminHost].some((one) => /^(0\.0\.0\.0|::)$/.test(one));
    if (isShared) yield { name: 'ADMIN_PORT', message: `is ${values.PORT}, like PORT; give each a port of its own` };
  }
  const file = outboxFileProblem(values.OUTBOX_URL);
  if (file !== null) yield { name: 'OUTBOX_URL', message: file };
  yield* checkSecrets(values);
}

const STREAM = 'LOGS_INGESTION_STREAM_HEARTBEAT';
const INTERVAL = 'HEARTBEAT_INTERVAL_MINUTES';

/** What can work and is more likely a mistake. */
function* doubts({ values, given }: Reading<VariableName>): Generator<ConfigProblem> {
  const { AZURE_CLIENT_ID: clientId, OUTBOX_URL: outbox, [STREAM]: stream, [INTERVAL]: minutes } = values;
  if (clientId !== null && !guid.test(clientId)) {
    yield { name: 'AZURE_CLIENT_ID', message: 'is no GUID, as the client ids that Entra gives are' };
  }
  // Not refused, since a secret may hold any sign.
  const quoted =
    'has quotes around it, and they are part of the secret: `docker run --env-file` keeps what a shell would take away; ' +
    'leave them out unless they are meant';
  yield* secretNames.filter((name) => inQuotes.test(values[name] ?? '')).map((name) => ({ name, message: quoted }));
  if (outbox?.tls === 'unverified' && !isOnThisMachine(outbox.host)) {
    yield { name: 'OUTBOX_URL', message: 'encrypts, but not for a server that is verified (sslmode=no-verify)' };
  }
  if (kinds.every(({ streamVariable }) => values[streamVariable] === null)) {
    const message = 'is off like the streams of all kinds, so every event is quarantined and none is delivered';
    yield { name: 'LOGS_INGESTION_STREAM', message };
  }
  const noEffect = (because: string): string => `has no effect: ${because}, so no heartbeat is sent`;
  if (stream === null && minutes > 0) yield { name: INTERVAL, message: noEffect(`${STREAM} is off`) };
  if (minutes === 0 && stream !== null && given.has(STREAM) && stream !== variables[STREAM].default) {
    yield { name: STREAM, message: noEffect(`${INTERVAL} is 0`) };
  }
  const shared = kinds.find(({ streamVariable }) => values[streamVariable] === stream)?.streamVariable;
  if (minutes > 0 && stream !== null && shared !== undefined) {
    const message = `is the stream of ${shared} too, and Azure drops the columns that the other's table lacks; give each its own`;
    yield { name: STREAM, message };
  }
}

function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  // Those of Node and curl are not in the list and come last.
  const placeOf = ({ name }: ConfigProblem): number => [...variableNames, name].indexOf(name);
  return problems.toSorted((a, b) => placeOf(a) - placeOf(b));
}
