import type { Command } from 'commander';
import { describeConfig } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { Environment } from '../config/read.ts';
import { readSecretsAgain, type Secrets, secretNames } from '../config/secrets.ts';
import { systemClock } from '../ground/clock.ts';
import { createLogger, type Logger } from '../ground/log.ts';
import { ListenError } from '../http/listener.ts';
import { OutboxStartError } from '../outbox/engine.ts';
import { type Service, startService } from '../service.ts';
import { type CommandContext, exitCodes, misconfigured, onFirstSignal } from './context.ts';

export const define = (command: Command) =>
  command.description('receive webhooks and deliver them, until SIGTERM or SIGINT');

export async function run(context: CommandContext): Promise<number> {
  const { config, problems, lapsed, settings, warnings, ...loaded } = loadConfig(context.env);
  if (config === null) throw misconfigured(problems);
  const log = createLogger(config.logLevel, context.stderr);
  for (const { name, message } of lapsed) log.error({ variable: name, problem: message }, 'configuration');
  for (const { name, message } of warnings) log.warn({ variable: name, warning: message }, 'configuration');
  const ending = Promise.withResolvers<number>();
  // From before the port is open, since whoever sees it ready may stop it at once, to the very end: npm's copy of a signal
  // can come when everything is closed, and must not make an orderly end a killed one.
  onFirstSignal(
    context,
    (signal) => {
      log.info({ signal }, 'stopping');
      ending.resolve(exitCodes.done);
    },
    (signal) => log.warn({ signal }, 'second signal, ending at once'),
  );
  let service: Service | null = null;
  let { secrets } = loaded;
  // From before the start, since the signal would end the process otherwise.
  context.onHangup?.(() => {
    if (service !== null) secrets = renewSecrets(service, { env: context.env, log, before: secrets });
  });
  try {
    const onFatal = () => ending.resolve(exitCodes.failed);
    service = await startService({ config, version: context.version, clock: systemClock, log, onFatal });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    log.fatal({ code, error: message }, 'the service could not start');
    return isConfiguration(error) ? exitCodes.usage : exitCodes.failed;
  }
  const { port, adminPort } = service;
  const { host } = config.webhook;
  log.info({ version: context.version, host, port, admin_host: config.admin.host, admin_port: adminPort }, 'ready');
  log.debug({ configuration: describeConfig(config, settings) }, 'configuration');
  const exitCode = await ending.promise;
  const limitMs = config.shutdownTimeoutMs;
  const cancelLimit = systemClock.setTimer(limitMs, () => {
    log.error({ limit_ms: limitMs }, 'shutdown timed out');
    context.exitNow(exitCodes.failed);
  });
  await service.stop();
  cancelLimit();
  log.info({ exit_code: exitCode }, 'stopped');
  return exitCode;
}

/** What cannot be read or is wrong keeps its value of before, and is an error in the log. */
function renewSecrets(
  service: Service,
  { env, log, before }: { readonly env: Environment; readonly log: Logger; readonly before: Secrets },
): Secrets {
  const { secrets, problems } = readSecretsAgain(env, before);
  service.useSecrets(secrets, problems);
  for (const { name, message } of problems) {
    const text = 'a secret could not be read again, and its value of before stays in use';
    log.error({ code: 'secret_not_renewed', variable: name, problem: message }, text);
  }
  const changed = secretNames.filter((name) => secrets[name] !== before[name]);
  const notRenewed = [...new Set(problems.map(({ name }) => name))];
  const level = notRenewed.length === 0 ? 'info' : 'error';
  log[level]({ changed, not_renewed: notRenewed }, 'secrets were read again');
  return secrets;
}

/** Whether the start fails until somebody changes a variable or the rights of a folder. */
function isConfiguration(error: unknown): boolean {
  if (error instanceof ListenError) return error.isConfiguration;
  if (!(error instanceof OutboxStartError)) return false;
  const cause = error.cause instanceof Error && 'code' in error.cause ? error.cause.code : null;
  return error.code === 'outbox_no_folder' || cause === 'EACCES' || cause === 'EPERM';
}
