import { randomBytes } from 'node:crypto';
import { systemClock } from '../clock.ts';
import { readVariables } from '../config/read.ts';
import { kindNamed } from '../kinds/registry.ts';
import { reportProblems } from './configuration.ts';
import { type CommandContext, exitCodes } from './context.ts';
import { sendHttp } from './http-request.ts';
import { findLocalService } from './local-service.ts';
import { unknownKind } from './template.ts';

export interface SendTestOptions {
  /** Where to send it; without it to the service on HOST and PORT of this machine. */
  readonly url?: string;
  readonly json?: boolean;
  /** Name of the webhook kind; default request. */
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
    const fields = { url: target.url.href, problem: hide(result.reason) };
    return report(context, { accepted: false, fields }, options.json === true);
  }
  const shown = describeAnswer(result.status, parseObject(hide(result.body)), hide(result.body));
  return report(context, shown, options.json === true);
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
