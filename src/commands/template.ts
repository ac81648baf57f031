import type { Command } from 'commander';
import { templateText } from '../kinds/body-template.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import { kindNamed, kinds } from '../kinds/registry.ts';
import { type CommandContext, exitCodes, misconfigured } from './context.ts';

export const define = (command: Command) =>
  command
    .description('print the body template to paste into Apono (stdout) and what else to enter there (stderr)')
    .option('--kind <kind>', "which of Apono's webhooks; a wrong name lists them", 'request')
    .option('--each', 'with {{#each}}, which carries everything if Apono offers it');

export function run(
  { stdout, stderr }: CommandContext,
  options: { readonly kind: string; readonly each?: boolean },
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
  stdout.write(templateText(name, options.each));
  stderr.write(`\n${describeSettings(kind)}${notes.map((note) => `- ${note}\n`).join('')}`);
  return exitCodes.done;
}

export function unknownKind() {
  return { name: '--kind', message: `must be one of ${kinds.map(({ name }) => name).join(', ')}` };
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

/** What to enter in Apono beside the body, in the order and in the words of its form. */
function describeSettings({ name, bodyTemplate: { webhook, path, triggers } }: WebhookKind): string {
  const lines = {
    Webhook: webhook,
    Method: 'POST',
    URL: `https://<your host>${path}`,
    'Body Template': 'the text on standard output, whole',
    Headers: 'Authorization: Bearer <APONO_WEBHOOK_SECRET>',
    ...(triggers !== undefined && { Triggers: `${triggers.join(', ')} (all ${triggers.length})` }),
    Filters: 'none',
    Timeout: '30 seconds',
    // The anomaly URL accepts every event, so only the kind tells that a webhook has the URL of another.
    'Response Validators': `$.data.status = accepted, and $.data.kind = ${name}`,
  };
  const text = Object.entries(lines).map(([label, value]) => `  ${`${label}:`.padEnd(21)}${value}\n`);
  return `Enter in Apono:\n${text.join('')}\n`;
}
