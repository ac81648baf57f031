import type { BodyTemplate, RenderedTemplate } from '../kinds/body-template.ts';
import { kindNamed, kinds } from '../kinds/registry.ts';
import { type CommandContext, exitCodes, reportProblems } from './context.ts';

interface TemplateOptions {
  readonly kind?: string;
  readonly each?: boolean;
  readonly json?: boolean;
}

/**
 * Prints the body template alone to stdout, so that it can be piped into a file or the clipboard, and what else to enter
 * in Apono to stderr.
 */
export function template(context: CommandContext, options: TemplateOptions): number {
  const kind = kindNamed(options.kind ?? 'request');
  if (kind === undefined) {
    reportProblems(context.stderr, [unknownKind()]);
    return exitCodes.usage;
  }
  const { bodyTemplate } = kind;
  const rendered = options.each === true ? bodyTemplate.each : bodyTemplate.plain;
  if (rendered === null) {
    const message = `block helpers would carry no more of kind ${kind.name}; leave it out`;
    reportProblems(context.stderr, [{ name: '--each', message }]);
    return exitCodes.usage;
  }
  print(context, { bodyTemplate, rendered, json: options.json === true });
  return exitCodes.done;
}

export function unknownKind() {
  return { name: '--kind', message: `must be one of ${kinds.map(({ name }) => name).join(', ')}` };
}

interface Printed {
  readonly bodyTemplate: BodyTemplate;
  readonly rendered: RenderedTemplate;
  readonly json: boolean;
}

function print(context: CommandContext, { bodyTemplate, rendered, json }: Printed): void {
  const notes = [...rendered.notes, ...commonNotes];
  if (json) {
    const printed = { template: rendered.text(), settings: settingsOf(bodyTemplate), notes };
    context.stdout.write(`${JSON.stringify(printed, null, 2)}\n`);
    return;
  }
  context.stdout.write(rendered.text());
  context.stderr.write(`\n${describeSettings(bodyTemplate)}${notes.map((note) => `- ${note}\n`).join('')}`);
}

/** What to enter in Apono beside the body, in the words of its form. */
function settingsOf({ webhook, path, triggers }: BodyTemplate) {
  return {
    type: webhook,
    method: 'POST',
    url: `https://<your host>${path}`,
    headers: { Authorization: 'Bearer <APONO_WEBHOOK_SECRET>' },
    triggers,
    filters: [],
    timeout_seconds: 30,
    response_validators: [{ json_path: '$.data.status', expected_values: ['accepted'] }],
  };
}

const commonNotes = [
  'The secret may also be sent as X-Webhook-Secret: <APONO_WEBHOOK_SECRET>, without "Bearer".',
  'The URL must be https and must not name a port.',
  'Press Test: the answer must have status 200 and say "accepted". Pressed twice, the second says "duplicate": true, ' +
    'because the same event is stored once and makes no second row.',
];

function describeSettings(bodyTemplate: BodyTemplate): string {
  const settings = settingsOf(bodyTemplate);
  const { triggers } = settings;
  const lines = [
    ['Type', settings.type],
    ['Method', settings.method],
    ['URL', settings.url],
    ['Header', `Authorization: ${settings.headers.Authorization}`],
    ...(triggers.length > 0 ? [['Triggers', `${triggers.join(', ')} (all ${triggers.length})`]] : []),
    ['Filters', 'none'],
    ['Timeout', `${settings.timeout_seconds} seconds`],
    ['Response validator', '$.data.status = accepted'],
    ['Body template', 'the text on standard output, whole'],
  ];
  return `Enter in Apono:\n${lines.map(([name = '', value = '']) => `  ${`${name}:`.padEnd(20)}${value}\n`).join('')}\n`;
}
