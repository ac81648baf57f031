import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { readVariables } from '../config/read.ts';
import { systemClock } from '../ground/clock.ts';
import { parseObject } from '../ground/json.ts';
import { testEvent } from '../kinds/body-template.ts';
import { type CommandContext, exitCodes, type JsonOption, misconfigured } from './context.ts';
import { findLocalService, sendHttp } from './local-service.ts';
import { kindOption } from './template.ts';

export const define = (command: Command) =>
  command
    .description('send one test event to the webhook')
    .option('--url <url>', 'the webhook, when it is not that of HOST and PORT on this machine')
    .addOption(kindOption("which of Apono's webhooks").default('request'))
    .option('--json', 'print JSON');

type SendTestOptions = JsonOption & { readonly url?: string; readonly kind: string };

export async function run(context: CommandContext, options: SendTestOptions): Promise<number> {
  const { values, problems } = readVariables(context.env, ['APONO_WEBHOOK_SECRET']);
  const target = findTarget(context, options.url);
  const secret = values.APONO_WEBHOOK_SECRET;
  if (secret === null || target.url === null) throw misconfigured([...problems, ...target.problems]);
  const result = await sendHttp(target.url, {
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
    body: JSON.stringify(testEvent(options.kind, systemClock.now(), randomBytes(8).toString('hex'))),
    timeLimitMs: 10_000,
  });
  // What comes back is somebody else's text, and could quote the header.
  const hide = (text: string): string => text.replaceAll(secret, '***');
  if (result.type === 'answered') return report(context, describeAnswer(result.status, hide(result.body)), options);
  const [problem, fix] = explainFailure(result.code, target.url, options.url === undefined);
  const text = hide(`${problem} (${result.reason}).`);
  return report(context, { accepted: false, url: target.url.href, problem: text, fix }, options);
}

/** Node's names for what is wrong with a certificate: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const certificateCodes = /CERT|UNABLE_TO|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|SELF_SIGNED/;

/** Why nothing answered, and what to do. `isLocal`: the address is that of HOST and PORT, and not that of --url. */
function explainFailure(
  code: string | null,
  { hostname, host, protocol }: URL,
  isLocal: boolean,
): readonly [problem: string, fix: string] {
  const which = isLocal ? 'which HOST and PORT name' : 'which --url names';
  const start = isLocal
    ? 'Start the service with `npm start` (`docker compose up -d`), or give this command the HOST and PORT of the one that runs.'
    : 'Start the service and the reverse proxy in front of it, or correct --url.';
  const log = `Look at the log of the service${isLocal ? '' : ', and at what stands in front of it'}.`;
  switch (code) {
    case 'ECONNREFUSED':
      return [`No service answers at ${host}, ${which}`, start];
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return [`There is no address for the name ${hostname}, ${which}`, 'Correct the name, or look at DNS.'];
    case 'ETIMEDOUT':
      return [
        `Nothing answered at ${host} in time, ${which}`,
        'Look at the firewall and the proxy in between, and at the log of the service.',
      ];
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return [`There is no way to ${host}, ${which}`, 'Correct the address, or look at the network of this machine.'];
    case 'ECONNRESET':
    case 'EPIPE':
      return [`The connection to ${host} was closed before an answer came`, log];
    case 'HPE_INVALID_CONSTANT':
      return [
        `What answers at ${host} does not speak HTTP`,
        'Correct the port; with TLS the URL begins with https://.',
      ];
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return [`What answers at ${host} does not speak TLS`, 'Correct the port, or begin the URL with http://.'];
  }
  if (protocol !== 'https:' || !certificateCodes.test(code ?? '')) return [`The request to ${host} failed`, start];
  const fix = 'Mend the certificate, or name its authority with NODE_EXTRA_CA_CERTS. Apono would refuse it too.';
  return [`The certificate of ${host} is not trusted`, fix];
}

function findTarget({ env }: CommandContext, given: string | undefined) {
  if (given === undefined) return findLocalService(env, '/apono/webhook');
  const url = URL.parse(given);
  const fits = url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
  const message = 'is no URL of a webhook, expected https://<host>/apono/webhook';
  return fits ? { url, problems: [] } : { url: null, problems: [{ name: '--url', message }] };
}

/** What is shown of an answer, all of it for a person. */
type Shown = Readonly<Record<string, unknown>> & { readonly accepted: boolean };

function describeAnswer(status: number, text: string): Shown {
  const answer = parseObject(text);
  if (answer === null) {
    const beginning = text.replaceAll(/\s+/g, ' ').trim().slice(0, 200);
    return { accepted: false, http_status: status, answer: beginning || '(empty)', note: notOurs };
  }
  const accepted = status === 200 && answer['status'] === 'accepted';
  const names = accepted
    ? ['status', 'event_id', 'kind', 'rows', 'duplicate', 'message']
    : ['title', 'detail', 'code', 'quarantined', 'request_id', 'errors'];
  const known = names.filter((name) => answer[name] !== undefined).map((name) => [name, answer[name]] as const);
  return { accepted, http_status: status, ...Object.fromEntries(known) };
}

const notOurs = 'this is no answer of apono-sentinel; look at what stands in front of it, and at the URL';

function report({ stdout, stderr }: CommandContext, shown: Shown, { json }: JsonOption): number {
  const { accepted, ...fields } = shown;
  const lines = Object.entries(fields).map(([name, value]) => {
    return `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}\n`;
  });
  if (json === true) stdout.write(`${JSON.stringify(shown)}\n`);
  else (accepted ? stdout : stderr).write(lines.join(''));
  return accepted ? exitCodes.done : exitCodes.failed;
}
