import { ArmError } from '../azure/arm-error.ts';
import { compareRule, targetTable } from '../azure/compare-columns.ts';
import { explainUpload } from '../azure/fixes.ts';
import { createIngestion } from '../azure/ingestion.ts';
import { createResourceManager, type DataCollectionRule, type ResourceManager } from '../azure/resource-manager.ts';
import type { TokenCache } from '../azure/token-cache.ts';
import { TokenError } from '../azure/token-error.ts';
import { explainTokenFailure, inFull } from '../azure/token-fixes.ts';
import { databaseScope, ingestionScope, resourceManagerScope } from '../config/clouds.ts';
import type { Config } from '../config/config.ts';
import { describeProxy, usesProxy } from '../config/proxy.ts';
import { type Ingestion, outcomeOf } from '../delivery/outcome.ts';
import { systemClock } from '../ground/clock.ts';
import { heartbeatStreamVariable, heartbeatTable } from '../heartbeat/row.ts';
import { kinds } from '../kinds/registry.ts';
import { OutboxStartError } from '../outbox/engine.ts';
import { placeOf, settingsOf } from '../outbox/postgres/database.ts';
import { type Examined, examineDatabase } from '../outbox/postgres/examine.ts';
import type { TextOutput } from './context.ts';
import { tokensFor } from './tokens.ts';

export interface Finding {
  /** `error`: events would not arrive as they should. `warning`: they may not. `note`: what is good to know. */
  readonly level: 'well' | 'note' | 'warning' | 'error';
  /** `stream <name> (<kind, or heartbeat>)`, `columns of <name>`, `columns` or `proxy`. */
  readonly subject: string;
  readonly message: string;
  /** What a person has to do; empty when nothing has to be done. */
  readonly fix: string;
}

/** Posts an empty list to each stream, which stores nothing; compares the columns of the rule; tries the database. */
export async function checkLive(config: Config, stderr: TextOutput): Promise<readonly Finding[]> {
  const { cloud, proxy, credential, resourceManager: origin } = config;
  const { endpoint, ruleId } = config.ingestion;
  const clock = systemClock;
  using closing = new DisposableStack();
  const tokensOf = (scope: string) => closing.adopt(tokensFor(config, scope, stderr), (tokens) => tokens.close());
  const ingestion = createIngestion({ endpoint, ruleId, tokens: tokensOf(ingestionScope(cloud)), proxy, clock });
  const managerTokens = tokensOf(resourceManagerScope(cloud));
  const manager = createResourceManager({ origin, tokens: managerTokens, proxy, clock, credential });
  const active = activeStreams(config);
  const findings = await Array.fromAsync(active, (one) => checkStream(config, ingestion, one));
  const declared = active.filter((_, index) => findings[index]?.level !== 'warning');
  const columns = await checkColumns(config, manager, declared);
  const database = await checkDatabase(config, tokensOf(databaseScope(cloud)));
  // What the service says of itself is not so of a command.
  const runAgain = (fix: string): string => fix.replace(/^Nothing, it is tried again/, 'Run it again');
  return [...wayOut(config), ...findings, ...columns, ...database].map((one) => ({ ...one, fix: runAgain(one.fix) }));
}

/** First, since it explains most of what follows where it is wrong. Nothing without a proxy. */
function wayOut({ proxy, ingestion }: Config): Finding[] {
  if (proxy === null) return [];
  const url = new URL(ingestion.endpoint);
  const place = describeProxy(proxy);
  const way = usesProxy(proxy, url) ? `through ${place}` : `without ${place}, because NO_PROXY names it`;
  return [{ level: 'note', subject: 'proxy', message: `${url.host} is asked ${way}`, fix: '' }];
}

/** That of the heartbeat only when something would be sent to it, or somebody named it. */
function activeStreams({ ingestion, heartbeat }: Config) {
  const { streams, explicitStreams } = ingestion;
  const ofKinds = kinds.flatMap(({ name, streamVariable, table }) => {
    const stream = streams[name] ?? null;
    // A table of a feed that nobody uses is missing in many a deployment: nothing is lost until such an event comes.
    const isOptional = name !== 'request' && !explicitStreams.includes(name);
    return stream === null ? [] : [{ name, stream, streamVariable, table, isOptional }];
  });
  if (heartbeat === null || (heartbeat.intervalMs === 0 && heartbeat.isDefaultStream)) return ofKinds;
  const { stream } = heartbeat;
  const streamVariable = heartbeatStreamVariable;
  return [...ofKinds, { name: 'heartbeat', stream, streamVariable, table: heartbeatTable, isOptional: false }];
}

type ActiveStream = ReturnType<typeof activeStreams>[number];

async function checkStream(config: Config, ingestion: Ingestion, active: ActiveStream): Promise<Finding> {
  const { name, stream, streamVariable, isOptional } = active;
  const result = await ingestion.upload(stream, '[]');
  const subject = `stream ${stream} (${name})`;
  const outcome = outcomeOf(result, Date.now());
  // Short, so that it fits into one line of 80 columns with the longest of our names.
  if (outcome.type === 'delivered') return well(subject, 'it answers 204');
  const context = { stream, streamVariable, ...config.ingestion, credential: config.credential };
  const isMissing = outcome.type === 'hold' && outcome.code === 'stream_refused';
  const level = isOptional && isMissing ? 'warning' : 'error';
  return { level, subject, ...inFull(explainUpload(result, context, outcome)) };
}

async function checkColumns(
  { ingestion: { ruleResourceId, ruleId } }: Config,
  manager: ResourceManager,
  active: readonly ActiveStream[],
): Promise<Finding[]> {
  if (ruleResourceId === null) {
    const fix = 'Set DATA_COLLECTION_RULE_RESOURCE_ID, and give the identity the role "Monitoring Reader" on the rule.';
    return [{ level: 'note', subject: 'columns', message: 'columns not checked', fix }];
  }
  const rule = await manager.getDataCollectionRule(ruleResourceId).catch(orArmError);
  if (rule instanceof ArmError) return [notRead(rule, '"Monitoring Reader" on the rule')];
  const { immutableId } = rule;
  if (immutableId?.toLowerCase() !== ruleId.toLowerCase()) {
    const message = `the rule of DATA_COLLECTION_RULE_RESOURCE_ID has the immutable id ${immutableId ?? '(none)'}, DATA_COLLECTION_RULE_ID is ${ruleId}`;
    return [notChecked('error', message, 'Make both name the same rule.')];
  }
  return (await Array.fromAsync(active, (one) => compareStream(manager, rule, one))).flat();
}

async function compareStream(
  manager: ResourceManager,
  rule: DataCollectionRule,
  { stream, table: schema }: ActiveStream,
): Promise<Finding[]> {
  const subject = `columns of ${stream}`;
  const target = targetTable(rule, stream, schema.name);
  const read = target && (await manager.getTable(target.workspaceResourceId, target.table).catch(orArmError));
  const table = read === undefined || read instanceof ArmError ? null : read;
  const { name } = schema;
  const fix = `Bring stream declaration, transformation and table in line with the columns of ${name} (schemas/tables/${name}.json).`;
  const found = compareRule({ rule, stream, schema, table });
  const problems = Array.from(found, (one): Finding => ({ ...one, subject, fix }));
  if (read instanceof ArmError) problems.push(notRead(read, '"Log Analytics Reader" on the workspace'));
  if (problems.length > 0) return problems;
  return [well(subject, `all ${schema.columns.length} columns pass through the rule into the table`)];
}

function well(subject: string, message: string): Finding {
  return { level: 'well', subject, message, fix: '' };
}

function notChecked(level: Finding['level'], message: string, fix: string): Finding {
  return { level, subject: 'columns', message: `columns not checked: ${message}`, fix };
}

function orArmError(error: unknown): ArmError {
  if (error instanceof ArmError) return error;
  throw error;
}

/** Only a rule or table that is not there is an error: reading them needs roles that delivering does not. */
function notRead({ status, message, fix }: ArmError, role: string): Finding {
  if (status === 404 && fix === '') return notChecked('error', message, 'Correct the id, or make it.');
  return notChecked('warning', message, fix === '' ? `Give the identity the role ${role}.` : fix);
}

/** Tries it as a start would, and changes nothing in it. Nothing where the outbox is SQLite. */
async function checkDatabase({ outbox, credential }: Config, tokens: TokenCache): Promise<Finding[]> {
  const { database } = outbox;
  if (database === null) return [];
  const subject = `database ${placeOf(database)}`;
  const token = async () => (await tokens.getToken()).token;
  try {
    // First, so that what Entra says is not taken for what the database says.
    if (database.entra) await token();
    return [well(subject, databaseMessage(await examineDatabase(settingsOf(database, token))))];
  } catch (error) {
    if (error instanceof OutboxStartError) {
      return [{ level: 'error', subject, message: error.problem, fix: error.fix }];
    }
    if (!(error instanceof TokenError)) throw error;
    return [{ level: 'error', subject, ...inFull(explainTokenFailure(error, credential)) }];
  }
}

function databaseMessage({ version, known }: Examined): string {
  const signedIn = 'connected and signed in, it keeps what it commits';
  if (version === 0) return `${signedIn}; the tables are not there yet, and will be made at the start`;
  const later = `its tables are of a later version (${version}) that works with this one (${known})`;
  return `${signedIn}; ${version > known ? later : `its tables are there (version ${version})`}`;
}
