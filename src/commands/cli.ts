import { Command, CommanderError } from 'commander';
import { type CommandContext, CommandError, type CommandFile, exitCodes, reportWarnings } from './context.ts';
import { withPrintableOutput } from './text.ts';
import { unreadEnvFile } from './unread-env-file.ts';

/** In the order of the help. Only what is named is loaded: `healthcheck` runs often and must not load the Azure SDK. */
const commands: Readonly<Record<string, () => Promise<CommandFile>>> = {
  serve: () => import('./serve.ts'),
  demo: () => import('./demo.ts'),
  status: () => import('./status.ts'),
  emulator: () => import('./emulator.ts'),
  healthcheck: () => import('./healthcheck.ts'),
  check: () => import('./check.ts'),
  'send-test': () => import('./send-test.ts'),
  template: () => import('./template.ts'),
  'outbox stats': () => import('./outbox/stats.ts'),
  'outbox list': () => import('./outbox/list.ts'),
  'outbox show': () => import('./outbox/show.ts'),
  'outbox replay': () => import('./outbox/replay.ts'),
  'outbox retry': () => import('./outbox/retry.ts'),
  'outbox purge': () => import('./outbox/purge.ts'),
  'outbox salvage': () => import('./outbox/salvage.ts'),
  'outbox backup': () => import('./outbox/backup.ts'),
  'outbox migrate': () => import('./outbox/migrate.ts'),
  'incidents list': () => import('./incidents/list.ts'),
  'incidents show': () => import('./incidents/show.ts'),
  'incidents export': () => import('./incidents/export.ts'),
};

const groups: Readonly<Record<string, string>> = {
  outbox: 'see, replay and purge what is in the outbox',
  incidents: 'see and export the incidents of Microsoft Sentinel',
};

/** Runs the command that `args` (without node and script) names and gives its exit code. */
export async function runCli(args: readonly string[], context: CommandContext): Promise<number> {
  const printed = withPrintableOutput(context);
  const program = new Command('apono-sentinel')
    .description("Takes Apono's webhooks and delivers them to Microsoft Sentinel.")
    .version(context.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void printed.stdout.write(text),
      writeErr: (text) => void printed.stderr.write(text),
    })
    .showHelpAfterError('(--help lists what there is)');
  let exitCode: number = exitCodes.done;
  for (const [name, load] of commandsFor(args)) {
    const [first = '', second] = name.split(' ');
    const { define, run } = await load();
    const parent = second === undefined ? program : groupOf(program, first);
    // The service writes its log, the others files or lines that change; they escape what they print themselves.
    const own = first === 'serve' || first === 'status' || first === 'incidents' ? context : printed;
    define(parent.command(second ?? first)).action(async (...given: unknown[]) => {
      // The last one is commander's own object.
      exitCode = await run(own, ...(given.slice(0, -1) as never[]));
    });
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    if (!(error instanceof CommandError)) throw error;
    // Most likely it is why a variable is missing, or why another service or outbox was looked for.
    reportWarnings(printed.stderr, unreadEnvFile(context.env));
    printed.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
}

/** The command that is named, else all of its group, else all there are: for help, and for a name that is not known. */
function commandsFor([first = '', second = '']: readonly string[]) {
  const all = Object.entries(commands);
  const named = all.filter(([name]) => name === first || name === `${first} ${second}`);
  const ofGroup = all.filter(([name]) => name.startsWith(`${first} `));
  return [named, ofGroup].find((some) => some.length > 0) ?? all;
}

function groupOf(program: Command, name: string): Command {
  const known = program.commands.find((command) => command.name() === name);
  return known ?? program.command(name).description(groups[name] ?? '');
}
