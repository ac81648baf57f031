import { kinds } from '../kinds/registry.ts';
import { clouds } from './clouds.ts';
import { assemble } from './config.ts';
import { chooseCredential, type credentialNames, doubtManagedIdentity } from './credential.ts';
import { outboxFileProblem, outboxWarnings } from './outbox-url.ts';
import { guid, ingestionHostProblem, isLoopbackHost } from './parse.ts';
import { readOutgoing } from './proxy.ts';
import { type Environment, findUnknownNames, type Reading, readVariables } from './read.ts';
import { isQuoted } from './secret-text.ts';
import { checkSecrets, secretNames } from './secrets.ts';
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
  const isFine = ({ name }: ConfigProblem) => !reading.problems.some((problem) => problem.name === name);
  const together = [...signIn.problems, ...checkTogether(values, reading.problems)].filter(isFine);
  const problems = inOrder([...reading.problems, ...together]);
  const warnings = [
    ...findUnknownNames(env),
    ...signIn.warnings,
    // Not beside problems, since fixing them may change what signs in.
    ...(problems.length === 0 && signIn.credential?.type === 'managed' ? doubtManagedIdentity(env) : []),
    ...doubtful(values),
    ...doubtfulHeartbeat(reading),
  ].filter(({ name }) => !problems.some((problem) => problem.name === name));
  const config = problems.length > 0 ? null : assemble(reading, signIn);
  return { config, problems, lapsed: signIn.lapsed, warnings, settings };
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
  { values, problems }: Reading<'AZURE_CLOUD' | (typeof credentialNames)[number]>,
  origins: readonly (string | null)[],
) {
  const failed = new Set<string>(problems.map(({ name }) => name));
  const cloud = clouds[values.AZURE_CLOUD];
  const { credential, lapsed, ...choice } = chooseCredential(values, cloud, failed);
  // A managed identity is asked for on this machine or its host.
  const authority = credential === null || credential.type === 'managed' ? null : credential.authorityHost;
  const { proxy, ...outgoing } = readOutgoing(env, [...origins, authority]);
  const ofChoice = choice.problems.filter(({ name }) => !failed.has(name));
  const warnings = [...choice.warnings, ...outgoing.warnings];
  return { cloud, credential, proxy, problems: [...ofChoice, ...outgoing.problems], lapsed, warnings };
}

/** What is sent to by https. Resource Manager is asked only where one of its resources or itself is named. */
function sentTo(values: Values): (string | null)[] {
  const { AZURE_RESOURCE_MANAGER_ENDPOINT: manager, DATA_COLLECTION_RULE_RESOURCE_ID: rule } = values;
  const asksManager = manager !== null || rule !== null || values.SENTINEL_WORKSPACE_ID !== null;
  const origin = manager ?? clouds[values.AZURE_CLOUD].resourceManager;
  return [values.LOGS_INGESTION_ENDPOINT, asksManager ? origin : null];
}

/** What is wrong only with several variables taken together. */
function checkTogether(values: Values, failed: readonly ConfigProblem[]): ConfigProblem[] {
  const hasFailed = (variable: VariableName) => failed.some(({ name }) => name === variable);
  const { LOGS_INGESTION_ENDPOINT: endpoint, ADMIN_TOKEN: token } = values;
  const allowed = hasFailed('AZURE_CLOUD') ? Object.values(clouds) : [clouds[values.AZURE_CLOUD]];
  const host = endpoint === null ? null : ingestionHostProblem(endpoint, allowed);
  const isOpen = !hasFailed('ADMIN_HOST') && !isLoopbackHost(values.ADMIN_HOST) && token === null;
  const messages: Readonly<Partial<Record<VariableName, string | null | false>>> = {
    LOGS_INGESTION_ENDPOINT: host && `"${endpoint}" ${host}`,
    ADMIN_TOKEN: isOpen && 'is required unless ADMIN_HOST is loopback; set a token, or ADMIN_HOST to 127.0.0.1',
    OUTBOX_URL: outboxFileProblem(values.OUTBOX_URL),
  };
  const others = Object.entries(messages).flatMap(([name, message]) => (message ? [{ name, message }] : []));
  return [...checkSecrets(values), ...others];
}

/** What can work and is more likely a mistake. */
function doubtful(values: Values): ConfigProblem[] {
  const warnings: ConfigProblem[] = [];
  if (values.AZURE_CLIENT_ID !== null && !guid.test(values.AZURE_CLIENT_ID)) {
    warnings.push({ name: 'AZURE_CLIENT_ID', message: 'is no GUID, as the client ids that Entra gives are' });
  }
  // Not refused, since a secret may hold any sign.
  const quoted =
    'has quotes around it, and they are part of the secret: `docker run --env-file` keeps what a shell would take away; ' +
    'leave them out unless they are meant';
  const inQuotes = secretNames.filter((name) => isQuoted(values[name] ?? ''));
  warnings.push(...inQuotes.map((name) => ({ name, message: quoted })), ...outboxWarnings(values.OUTBOX_URL));
  if (kinds.every(({ streamVariable }) => values[streamVariable] === null)) {
    const message = 'is off like the streams of all kinds, so every event is quarantined and none is delivered';
    warnings.push({ name: 'LOGS_INGESTION_STREAM', message });
  }
  return warnings;
}

const STREAM = 'LOGS_INGESTION_STREAM_HEARTBEAT';
const INTERVAL = 'HEARTBEAT_INTERVAL_MINUTES';

function doubtfulHeartbeat({ values, given }: Reading<VariableName>): ConfigProblem[] {
  const { [STREAM]: stream, [INTERVAL]: minutes } = values;
  const noEffect = (name: string, because: string) => [
    { name, message: `has no effect: ${because}, so no heartbeat is sent` },
  ];
  if (stream === null) return minutes === 0 ? [] : noEffect(INTERVAL, `${STREAM} is off`);
  if (minutes === 0) {
    const isMeant = given.has(STREAM) && stream !== variables[STREAM].default;
    return isMeant ? noEffect(STREAM, `${INTERVAL} is 0`) : [];
  }
  const shared = kinds.find(({ streamVariable }) => values[streamVariable] === stream)?.streamVariable;
  const message = `is the stream of ${shared} too, and Azure drops the columns that the other's table lacks; give each its own`;
  return shared === undefined ? [] : [{ name: STREAM, message }];
}

function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const order: readonly string[] = variableNames;
  // Those of Node and curl are not in the list and come last.
  const placeOf = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return problems.toSorted((a, b) => placeOf(a.name) - placeOf(b.name));
}
