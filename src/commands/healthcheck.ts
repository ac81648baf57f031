import { reportProblems } from './configuration.ts';
import { type CommandContext, exitCodes } from './context.ts';
import { sendHttp } from './http-request.ts';
import { findLocalService } from './local-service.ts';

const timeLimitMs = 3000;

/**
 * The image's HEALTHCHECK: 0 while the service on HOST and PORT is alive. It asks /livez and not /readyz, because what an
 * orchestrator does to an unhealthy container, a restart, helps neither a full outbox nor one that Azure holds up.
 */
export async function healthcheck(context: CommandContext): Promise<number> {
  const service = findLocalService(context.env);
  if (service.origin === null) {
    reportProblems(context.stderr, service.problems);
    return exitCodes.usage;
  }
  const url = new URL('/livez', service.origin);
  const result = await sendHttp(url, { method: 'GET', timeLimitMs });
  if (result.type === 'answered' && result.status === 200) {
    context.stdout.write('alive\n');
    return exitCodes.done;
  }
  const what = result.type === 'answered' ? `answered ${result.status}` : result.reason;
  context.stderr.write(`not alive: GET ${url.href}: ${what}\n`);
  return exitCodes.failed;
}
