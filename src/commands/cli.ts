import { Command, CommanderError } from 'commander';
import { type CommandContext, exitCodes } from './context.ts';
import { addIncidentsCommands } from './incidents/register.ts';
import { addOutboxCommands } from './outbox/register.ts';
import { withPrintableOutput } from './text.ts';

/**
 * Runs the command that `args` (without node and script) names and gives its exit code. Each command is loaded only when
 * it runs: `healthcheck` runs every few seconds and must not load the Azure SDK.
 */
export async function runCli(args: readonly string[], context: CommandContext): Promise<number> {
  let exitCode: number = exitCodes.done;
  const program = createProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  }
}

function createProgram(context: CommandContext, done: (exitCode: number) => void): Command {
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
  addServiceCommands(program, context, done);
  addToolCommands(program, printed, done);
  addOutboxCommands(program, printed, done);
  // These write files and a changing line, and escape what they print themselves.
  addIncidentsCommands(program, context, done);
  return program;
}

function addServiceCommands(program: Command, context: CommandContext, done: (exitCode: number) => void): void {
  program
    .command('serve')
    .description('receive webhooks and deliver them, until SIGTERM or SIGINT')
    .action(async () => done(await (await import('./serve.ts')).serve(context)));
  program
    .command('demo')
    .description('show the whole way with an emulated Azure; needs no configuration')
    .option('--once', 'end by itself when the rows have arrived')
    .action(async (options: { once?: boolean }) => done(await (await import('./demo.ts')).demo(context, options)));
  program
    .command('healthcheck')
    .description('ask the service on HOST and PORT whether it is alive')
    .action(async () => done(await (await import('./local-service.ts')).healthcheck(context)));
}

function addToolCommands(program: Command, context: CommandContext, done: (exitCode: number) => void): void {
  program
    .command('check')
    .description('check the configuration')
    .option('--live', 'also get a token and post an empty list to each stream, which stores nothing')
    .option('--verbose', 'print every setting too, without its secrets')
    .option('--json', 'print JSON')
    .action(async (options: { live?: boolean; verbose?: boolean; json?: boolean }) =>
      done(await (await import('./check.ts')).check(context, options)),
    );
  program
    .command('send-test')
    .description('send one test event to the webhook')
    .option('--url <url>', 'the webhook, when it is not that of HOST and PORT on this machine')
    .option('--kind <kind>', "which of Apono's webhooks; a wrong name lists them", 'request')
    .option('--json', 'print JSON')
    .action(async (options: { url?: string; kind?: string; json?: boolean }) =>
      done(await (await import('./send-test.ts')).sendTest(context, options)),
    );
  program
    .command('template')
    .description('print the body template to paste into Apono (stdout) and what else to enter there (stderr)')
    .option('--kind <kind>', "which of Apono's webhooks; a wrong name lists them", 'request')
    .option('--each', 'with {{#each}}, which carries everything if Apono offers it')
    .option('--json', 'print JSON')
    .action(async (options: { kind?: string; each?: boolean; json?: boolean }) =>
      done((await import('./template.ts')).template(context, options)),
    );
}
