import { carried, eachTemplate, unrolledTemplate } from '../apono/body-template.ts';
import { type CommandContext, exitCodes } from './context.ts';

export interface TemplateOptions {
  readonly each?: boolean;
  readonly json?: boolean;
}

/** What to enter in Apono beside the body, in the words of its form. */
const settings = {
  type: 'Request webhook, HTTP',
  method: 'POST',
  url: 'https://<your host>/apono/webhook',
  headers: { Authorization: 'Bearer <APONO_WEBHOOK_SECRET>' },
  triggers: [
    'RequestCreated',
    'RequestApproved',
    'RequestRejected',
    'RequestGranted',
    'RequestExpired',
    'RequestFailed',
  ],
  filters: [],
  timeout_seconds: 30,
  response_validators: [{ json_path: '$.data.status', expected_values: ['accepted'] }],
} as const;

/**
 * Prints the body template alone to stdout, so that it can be piped into a file or the clipboard, and what else to enter
 * in Apono to stderr.
 */
export function template(context: CommandContext, options: TemplateOptions): number {
  const text = options.each === true ? eachTemplate() : unrolledTemplate();
  const notes = options.each === true ? eachNotes : unrolledNotes;
  if (options.json === true) {
    context.stdout.write(
      `${JSON.stringify({ template: text, settings, notes: [...notes, ...commonNotes] }, null, 2)}\n`,
    );
    return exitCodes.done;
  }
  context.stdout.write(text);
  context.stderr.write(`\n${describeSettings()}${[...notes, ...commonNotes].map((note) => `- ${note}\n`).join('')}`);
  return exitCodes.done;
}

const unrolledNotes = [
  `This template needs no helpers. It carries ${carried.groups} access groups with ${carried.unitsPerGroup} access units ` +
    `each and ${carried.approvals} approvals; of a larger request the rows say units_truncated = true.`,
  'It leaves data.custom_fields out: without helpers Handlebars prints an object as "[object Object]". ' +
    '`template --each` carries them.',
];

const eachNotes = [
  'This template carries everything, but no page of Apono says that {{#each}} may be used. Try it with the Test button: ' +
    'if the body in "View Invocation Data" still shows {{#each}}, or Apono refuses it, use the default template.',
];

const commonNotes = [
  'The secret may also be sent as X-Webhook-Secret: <APONO_WEBHOOK_SECRET>, without "Bearer".',
  'The URL must be https and must not name a port.',
  'Press Test: the answer must have status 200 and say "accepted". Pressed twice, the second says "duplicate": true, ' +
    'because the same event is stored once and makes no second row.',
];

function describeSettings(): string {
  const [validator] = settings.response_validators;
  const lines = [
    ['Type', settings.type],
    ['Method', settings.method],
    ['URL', settings.url],
    ['Header', `Authorization: ${settings.headers.Authorization}`],
    ['Triggers', `${settings.triggers.join(', ')} (all six)`],
    ['Filters', 'none'],
    ['Timeout', `${settings.timeout_seconds} seconds`],
    ['Response validator', `${validator.json_path} = ${validator.expected_values.join(', ')}`],
    ['Body template', 'the text on standard output, whole'],
  ];
  return `Enter in Apono:\n${lines.map(([name = '', value = '']) => `  ${`${name}:`.padEnd(20)}${value}\n`).join('')}\n`;
}
