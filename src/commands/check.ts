import type { Config } from '../config/config.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { type DescribedSetting, describeConfig } from '../config/redact.ts';
import { reportProblems, reportWarnings } from './configuration.ts';
import { type CommandContext, exitCodes, type TextOutput } from './context.ts';
import type { Finding } from './live-check.ts';
import { renderTable } from './table.ts';

export interface CheckOptions {
  /** Also ask Azure, and the database of OUTBOX_URL. Nothing is stored or made by it. */
  readonly live?: boolean;
  readonly json?: boolean;
}

/**
 * Checks the configuration, prints it without its secrets, and with `live` tries each stream and the database. Exit code 2
 * when the configuration is wrong, 1 when a stream, its columns or the database are.
 */
export async function check(context: CommandContext, options: CheckOptions): Promise<number> {
  const loaded = await withPlaces(loadConfig(context.env));
  const settings = loaded.config === null ? [] : describeConfig(loaded.config, loaded.settings);
  if (options.json !== true) reportConfiguration(context, loaded, settings);
  const live = loaded.config !== null && options.live === true ? await askAll(loaded.config, context.stderr) : null;
  const failed = live?.some(({ level }) => level === 'error') ?? false;
  if (options.json === true) {
    const { problems, warnings } = loaded;
    const result = { ok: problems.length === 0 && !failed, problems, warnings, settings, ...(live && { live }) };
    context.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  } else if (live !== null) {
    context.stdout.write(`\n${live.map(renderFinding).join('')}`);
  }
  if (loaded.config === null) return exitCodes.usage;
  return failed ? exitCodes.failed : exitCodes.done;
}

/** What the configuration alone cannot know: whether this machine has the folder and the addresses that it names. */
async function withPlaces(loaded: LoadedConfig): Promise<LoadedConfig> {
  const { config } = loaded;
  if (config === null) return loaded;
  const [{ tryHost }, { tryDataDir }] = await Promise.all([
    import('../http/listen-error.ts'),
    import('../outbox/sqlite/try.ts'),
  ]);
  const hosts = await Promise.all([
    tryHost({ name: 'webhook', host: config.webhook.host }),
    tryHost({ name: 'admin', host: config.admin.host }),
  ]);
  const problems = hosts.flatMap((error) => (error ? [{ name: error.variable, message: error.message }] : []));
  const folder = config.outbox.database === null ? tryDataDir(config.outbox.dataDir) : null;
  if (folder !== null) problems.push({ name: 'DATA_DIR', message: `${folder.message} (${folder.code})` });
  return problems.length === 0 ? loaded : { ...loaded, config: null, problems };
}

function reportConfiguration(
  { stdout, stderr }: CommandContext,
  { problems, warnings }: LoadedConfig,
  settings: readonly DescribedSetting[],
): void {
  reportWarnings(stderr, warnings);
  reportProblems(stderr, problems);
  if (problems.length > 0) return;
  const rows = settings.map(({ name, value, from }) => [name, value, from]);
  stdout.write(`${renderTable(['NAME', 'VALUE', 'FROM'], rows)}\nThe configuration is valid.\n`);
}

function renderFinding({ level, subject, message, fix }: Finding): string {
  return `${level.padEnd(8)}${subject}: ${message}\n${fix === '' ? '' : `${' '.repeat(8)}Fix: ${fix}\n`}`;
}

async function askAll(config: Config, stderr: TextOutput): Promise<readonly Finding[]> {
  return [...(await askAzure(config, stderr)), ...(await askDatabase(config, stderr))];
}

/** Loads the Azure SDK, which the check of the configuration alone does without. */
async function askAzure(config: Config, stderr: TextOutput): Promise<readonly Finding[]> {
  const [{ connectAzure }, { checkLive }, { kinds }] = await Promise.all([
    import('./azure-connection.ts'),
    import('./live-check.ts'),
    import('../kinds/registry.ts'),
  ]);
  const connection = connectAzure(config, stderr);
  try {
    return await checkLive({ config, kinds, ...connection });
  } finally {
    connection.close();
  }
}

/** Nothing where the outbox is SQLite. */
async function askDatabase(config: Config, stderr: TextOutput): Promise<readonly Finding[]> {
  const { database } = config.outbox;
  if (database === null) return [];
  const [{ checkDatabase }, { connectDatabaseSignIn }] = await Promise.all([
    import('./check-database.ts'),
    import('./azure-connection.ts'),
  ]);
  const signIn = connectDatabaseSignIn(config, stderr);
  try {
    return [await checkDatabase({ database, credential: config.credential, token: signIn.token })];
  } finally {
    signIn.close();
  }
}
