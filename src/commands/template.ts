import type { Command } from 'commander';
import { templateText } from '../kinds/body-template.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import { kindNamed, kinds } from '../kinds/registry.ts';
import { type CommandContext, exitCodes, type JsonOption, misconfigured, printResult } from './context.ts';

export const define = (command: Command) =>
  command
    .description('print the body template to paste into Apono (stdout) and what else to enter there (stderr)')
    .option('--kind <kind>', "which of Apono's webhooks; a wrong name lists them", 'request')
    .option('--each', 'with {{#each}}, which carries everything if Apono offers it')
    .option('--json', 'print JSON');

/** Prints the body template alone to stdout, so that it can be piped, and what else to enter in Apono to stderr. */
export function run(
  context: CommandContext,
  options: JsonOption & { readonly kind: string; readonly each?: boolean },
): number {
  const kind = kindNamed(options.kind);
  if (kind === undefined) throw misconfigured([unknownKind()]);
  const { name, bodyTemplate } = kind;
  const ofTemplate = options.each === true ? bodyTemplate.eachNotes : bodyTemplate.notes;
  if (ofTemplate === undefined) {
    const message = `{{#each}} would carry no more of kind ${name}; leave it out`;
    throw misconfigured([{ name: '--each', message }]);
  }
  const notes = [...ofTemplate, ...(options.each === true ? [eachNote] : []), ...commonNotes];
  const template = templateText(name, options.each);
  printResult(context, options, { template, settings: settingsOf(kind), notes }, template);
  const said = `\n${describeSettings(kind)}${notes.map((note) => `- ${note}\n`).join('')}`;
  if (options.json !== true) context.stderr.write(said);
  return exitCodes.done;
}

export function unknownKind() {
  return { name: '--kind', message: `must be one of ${kinds.map(({ name }) => name).join(', ')}` };
}

/** What to enter in Apono beside the body, in the words of its form. */
function settingsOf({ name, bodyTemplate: { webhook, path, triggers = [] } }: WebhookKind) {
  return {
    type: webhook,
    method: 'POST',
    url: `https://<your host>${path}`,
    headers: { Authorization: 'Bearer <APONO_WEBHOOK_SECRET>' },
    triggers,
    filters: [],
    timeout_seconds: 30,
    response_validators: [
      { json_path: '$.data.status', expected_values: ['accepted'] },
      // The anomaly URL accepts every event, so only this tells that a webhook has the URL of another kind.
      { json_path: '$.data.kind', expected_values: [name] },
    ],
  };
}

const eachNote =
  'No page of Apono says that {{#each}} may be used. Try it with the Test button of a second webhook that is Inactive: if ' +
  'Apono refuses it, or the body in "View Invocation Data" still shows {{#each}} or has no resources, use the default ' +
  'template. Otherwise paste it into the first webhook and delete the second: of two that are Active everything comes twice.';

const commonNotes = [
  'The secret may also be sent as X-Webhook-Secret: <APONO_WEBHOOK_SECRET>, without "Bearer".',
  'The URL must be https and must not name a port.',
  'Press Test: the answer must have status 200 and say "accepted". "duplicate": true is right too: the same event came ' +
    'before, is stored once, and makes no second row.',
];

/** In the order of Apono's form. */
function describeSettings(kind: WebhookKind): string {
  const settings = settingsOf(kind);
  const { method, url, headers, triggers, timeout_seconds: timeout } = settings;
  const validators = settings.response_validators.map((one) => `${one.json_path} = ${one.expected_values.join()}`);
  const lines = {
    Webhook: settings.type,
    Method: method,
    URL: url,
    'Body Template': 'the text on standard output, whole',
    Headers: `Authorization: ${headers.Authorization}`,
    ...(triggers.length > 0 && { Triggers: `${triggers.join(', ')} (all ${triggers.length})` }),
    Filters: 'none',
    Timeout: `${timeout} seconds`,
    'Response Validators': validators.join(', and '),
  };
  const text = Object.entries(lines).map(([name, value]) => `  ${`${name}:`.padEnd(21)}${value}\n`);
  return `Enter in Apono:\n${text.join('')}\n`;
}
