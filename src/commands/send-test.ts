import { randomBytes } from 'node:crypto';
import { readVariables } from '../config/read.ts';
import { systemClock } from '../ground/clock.ts';
import { kindNamed } from '../kinds/registry.ts';
import { type CommandContext, exitCodes, reportProblems } from './context.ts';
import { findLocalService, type HttpResult, sendHttp } from './local-service.ts';
import { unknownKind } from './template.ts';

interface SendTestOptions {
  /** Where to send it; without it to the service on HOST and PORT of this machine. */
  readonly url?: string;
  readonly json?: boolean;
  readonly kind?: string;
}

const timeLimitMs = 10_000;

/** What is shown of an answer, all of it text for a person. */
interface Shown {
  readonly accepted: boolean;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Sends one event that looks like a real one of its kind to the webhook, with the configured secret, and prints the answer. */
export async function sendTest(context: CommandContext, options: SendTestOptions): Promise<number> {
  const { values, problems } = readVariables(context.env, ['APONO_WEBHOOK_SECRET']);
  const target = findTarget(context, options.url);
  const secret = values.APONO_WEBHOOK_SECRET;
  const kind = kindNamed(options.kind ?? 'request');
  if (secret === null || target.url === null || kind === undefined) {
    const kindProblems = kind === undefined ? [unknownKind()] : [];
    reportProblems(context.stderr, [...problems, ...target.problems, ...kindProblems]);
    return exitCodes.usage;
  }
  const result = await sendHttp(target.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
    body: JSON.stringify(kind.createTestEvent(systemClock.now(), randomBytes(8).toString('hex'))),
    timeLimitMs,
  });
  // What comes back is somebody else's text, and could quote the header.
  const hide = (text: string): string => text.replaceAll(secret, '***');
  if (result.type === 'failed') {
    const { problem, fix } = explainFailure(result, target.url, options.url === undefined);
    const fields = { url: target.url.href, problem: hide(problem), fix };
    return report(context, { accepted: false, fields }, options.json === true);
  }
  const shown = describeAnswer(result.status, parseObject(hide(result.body)), hide(result.body));
  return report(context, shown, options.json === true);
}

/**
 * Why nothing answered, in words and with Node's own behind them. `isLocal`: the address is that of HOST and PORT, and not
 * that of --url.
 */
function explainFailure(
  { code, reason }: Extract<HttpResult, { type: 'failed' }>,
  { hostname, host, protocol }: URL,
  isLocal: boolean,
): { readonly problem: string; readonly fix: string } {
  const named = isLocal ? 'HOST and PORT name' : '--url names';
  const start = isLocal
    ? 'Start the service with `npm start` (`docker compose up -d`), or give this command the HOST and PORT of the one that runs.'
    : 'Start the service and the reverse proxy in front of it, or correct --url.';
  const told = (problem: string, fix: string) => ({ problem: `${problem} (${reason}).`, fix });
  switch (code) {
    case 'ECONNREFUSED':
      return told(`No service answers at ${host}, which ${named}`, start);
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return told(`There is no address for the name ${hostname}, which ${named}`, 'Correct the name, or look at DNS.');
    case 'ETIMEDOUT':
      return told(
        `Nothing answered at ${host} in time, which ${named}`,
        'Look at the firewall and the proxy in between, and at the log of the service.',
      );
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return told(
        `There is no way to ${host}, which ${named}`,
        'Correct the address, or look at the network of this machine.',
      );
    case 'ECONNRESET':
    case 'EPIPE': {
      const elsewhere = isLocal ? '' : ', and at what stands in front of it';
      return told(
        `The connection to ${host} was closed before an answer came`,
        `Look at the log of the service${elsewhere}.`,
      );
    }
    case 'HPE_INVALID_CONSTANT':
      return told(
        `What answers at ${host} does not speak HTTP`,
        'Correct the port; with TLS the URL begins with https://.',
      );
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return told(`What answers at ${host} does not speak TLS`, 'Correct the port, or begin the URL with http://.');
    default:
      if (protocol !== 'https:' || !isCertificateCode(code)) return told(`The request to ${host} failed`, start);
      return told(
        `The certificate of ${host} is not trusted`,
        'Mend the certificate, or name its authority with NODE_EXTRA_CA_CERTS. Apono would refuse it too.',
      );
  }
}

/** Node's names for what is wrong with a certificate: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
function isCertificateCode(code: string | null): boolean {
  return code !== null && /CERT|UNABLE_TO|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|SELF_SIGNED/.test(code);
}

function findTarget(context: CommandContext, given: string | undefined) {
  if (given !== undefined) {
    const url = URL.parse(given);
    const fits =
      url !== null && ['http:', 'https:'].includes(url.protocol) && url.username === '' && url.password === '';
    if (fits) return { url, problems: [] };
    const message = 'is no URL of a webhook, expected https://<host>/apono/webhook';
    return { url: null, problems: [{ name: '--url', message }] };
  }
  const service = findLocalService(context.env);
  if (service.origin === null) return { url: null, problems: service.problems };
  return { url: new URL('/apono/webhook', service.origin), problems: [] };
}

function describeAnswer(status: number, answer: Readonly<Record<string, unknown>> | null, text: string): Shown {
  if (answer === null) {
    const beginning = text.replaceAll(/\s+/g, ' ').trim().slice(0, 200);
    return { accepted: false, fields: { http_status: status, answer: beginning || '(empty)', note: notOurs } };
  }
  const accepted = status === 200 && answer['status'] === 'accepted';
  const names = accepted
    ? ['status', 'event_id', 'kind', 'rows', 'duplicate', 'message']
    : ['title', 'detail', 'code', 'request_id', 'errors'];
  const known = names.filter((name) => answer[name] !== undefined).map((name) => [name, answer[name]] as const);
  return { accepted, fields: { http_status: status, ...Object.fromEntries(known) } };
}

const notOurs = 'this is no answer of apono-sentinel; look at what stands in front of it, and at the URL';

function report(context: CommandContext, { accepted, fields }: Shown, json: boolean): number {
  if (json) context.stdout.write(`${JSON.stringify({ accepted, ...fields })}\n`);
  else {
    const lines = Object.entries(fields).map(([name, value]) => {
      return `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}\n`;
    });
    (accepted ? context.stdout : context.stderr).write(lines.join(''));
  }
  return accepted ? exitCodes.done : exitCodes.failed;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}
