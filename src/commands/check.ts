import type { Command } from 'commander';
import { type Config, describeConfig } from '../config/config.ts';
import { checkConfig } from '../config/load.ts';
import { describeProxy } from '../config/proxy.ts';
import type { ConfigProblem } from '../config/variable.ts';
import type { Finding } from './check-live.ts';
import { type CommandContext, exitCodes, type JsonOption, problemsText, reportWarnings } from './context.ts';
import { renderTable, wrap } from './text.ts';
import { unreadEnvFile } from './unread-env-file.ts';

export const define = (command: Command) =>
  command
    .description('check the configuration')
    .option('--live', 'also get a token and post an empty list to each stream, which stores nothing')
    .option('--verbose', 'print every setting too, without its secrets')
    .option('--json', 'print JSON');

type CheckOptions = JsonOption & { readonly live?: boolean; readonly verbose?: boolean };

const COLUMNS = 80;
/** What needs a person comes first. */
const levels: readonly Finding['level'][] = ['error', 'warning', 'well', 'note'];

/** Exit code 2 when the configuration is wrong, 1 when a stream, its columns or the database are. */
export async function run(context: CommandContext, options: CheckOptions): Promise<number> {
  const { stdout, stderr } = context;
  const loaded = checkConfig(context.env);
  const warnings = [...loaded.warnings, ...unreadEnvFile(context.env)];
  const problems = loaded.config === null ? loaded.problems : await problemsOfPlaces(loaded.config);
  const config = problems.length > 0 ? null : loaded.config;
  const isText = options.json !== true;
  if (isText) {
    reportWarnings(stderr, warnings);
    if (problems.length > 0) stderr.write(`${problemsText(problems)}\n`);
  }
  const isLive = config !== null && options.live === true;
  // Loads the Azure SDK, which the check of the configuration alone does without.
  const live = isLive ? await (await import('./check-live.ts')).checkLive(config, stderr) : null;
  const failed = live?.some(({ level }) => level === 'error') ?? false;
  const settings = config === null ? [] : describeConfig(config, loaded.settings);
  if (!isText) {
    const result = { ok: problems.length === 0 && !failed, problems, warnings, settings, ...(live && { live }) };
    stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  } else if (config !== null) {
    const { proxy } = config;
    // The proxy is named, since nothing else says which of the variables of other programs is used.
    const way = proxy === null ? '' : `Azure is asked through ${describeProxy(proxy)}.\n`;
    stdout.write(live === null ? `The configuration is valid.\n${way}` : renderFindings(live));
    const rows = settings.map(({ name, value, from }) => [name, value, from]);
    if (options.verbose === true) stdout.write(`\n${renderTable(['NAME', 'VALUE', 'FROM'], rows)}`);
    else if (live === null) stdout.write('--verbose prints every setting, --live asks Azure.\n');
  }
  if (config === null) return exitCodes.usage;
  return failed ? exitCodes.failed : exitCodes.done;
}

/** What the configuration alone cannot know: whether this machine has the folder and the addresses that it names. */
async function problemsOfPlaces({ webhook, admin, outbox }: Config): Promise<readonly ConfigProblem[]> {
  const [{ tryHost }, { tryDataDir }] = await Promise.all([
    import('../http/listener.ts'),
    import('../outbox/sqlite/open.ts'),
  ]);
  const listeners = [{ name: 'webhook', host: webhook.host } as const, { name: 'admin', host: admin.host } as const];
  const hosts = await Promise.all(listeners.map(tryHost));
  const problems = hosts.flatMap((error) => (error ? [{ name: error.variable, message: error.message }] : []));
  const folder = outbox.database === null ? tryDataDir(outbox.dataDir) : null;
  if (folder !== null) problems.push({ name: 'DATA_DIR', message: `${folder.message} (${folder.code})` });
  return problems;
}

/** Prints a fix that several findings share once, and a message that they share once. */
function renderFindings(findings: readonly Finding[]): string {
  const inOrder = findings.toSorted((a, b) => levels.indexOf(a.level) - levels.indexOf(b.level));
  const entries = Map.groupBy(inOrder, (one) => JSON.stringify(one.fix === '' ? one : [one.level, one.fix]));
  return [...entries.values()].map(renderEntry).join('');
}

function renderEntry(entry: readonly Finding[]): string {
  const { level = '', fix = '' } = entry[0] ?? {};
  const said = [...Map.groupBy(entry, ({ message }) => message)].flatMap(([message, sharing]) => {
    const subjects = sharing.map(({ subject }) => subject);
    const last = subjects.pop() ?? '';
    return [...subjects, message.startsWith(last) ? message : `${last}: ${message}`];
  });
  const lines = [...said, ...(fix === '' ? [] : [`Fix: ${fix}`])].map((text) => text.replaceAll(/\s+/g, ' '));
  const shown = level === 'well' ? 'ok' : level;
  return `${wrap(lines.join('\n'), COLUMNS, shown.padEnd(8)).join('\n')}\n`;
}
