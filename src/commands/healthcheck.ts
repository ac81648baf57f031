import type { Command } from 'commander';
import { type CommandContext, exitCodes, failed, misconfigured } from './context.ts';
import { findLocalService, sendHttp } from './local-service.ts';

export const define = (command: Command) => command.description('ask the service on HOST and PORT whether it is alive');

/**
 * The image's HEALTHCHECK: 0 while the service on HOST and PORT is alive. It asks /livez and not /readyz, because what an
 * orchestrator does to an unhealthy container, a restart, helps neither a full outbox nor one that Azure holds up.
 */
export async function run({ env, stdout }: CommandContext): Promise<number> {
  const { url, problems } = findLocalService(env, '/livez');
  if (url === null) throw misconfigured(problems);
  const result = await sendHttp(url, { timeLimitMs: 3_000 });
  if (result.type === 'answered' && result.status === 200) {
    stdout.write('alive\n');
    return exitCodes.done;
  }
  const what = result.type === 'answered' ? `answered ${result.status}` : result.reason;
  throw failed(`not alive: GET ${url.href}: ${what}`);
}
