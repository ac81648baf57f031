import { type Command, Option } from 'commander';
import { templateText } from '../kinds/body-template.ts';
import type { WebhookKind } from '../kinds/kind.ts';
import { kindNamed, kinds } from '../kinds/registry.ts';
import { type CommandContext, exitCodes, misconfigured } from './context.ts';

export const kindOption = (description: string) =>
  new Option('--kind <kind>', description).choices(kinds.map(({ name }) => name));

export const define = (command: Command) =>
  command
    .description('print the body template to paste into Apono (stdout) and what else to enter there (stderr)')
    .addOption(kindOption("which of Apono's webhooks").default('request'))
    .option('--each', 'with {{#each}}, which carries everything if Apono offers it');

export function run(
  { stdout, stderr }: CommandContext,
  options: { readonly kind: string; readonly each?: boolean },
): number {
  const kind = kindNamed(options.kind);
  const ofTemplate = kind?.bodyTemplate[options.each === true ? 'eachNotes' : 'notes'];
  if (kind === undefined || ofTemplate === undefined) {
    const message = `{{#each}} would carry no more of kind ${options.kind}; leave it out`;
    throw misconfigured([{ name: '--each', message }]);
  }
  const notes = [...ofTemplate, ...(options.each === true ? [eachNote] : []), ...commonNotes];
  stdout.write(templateText(kind.name, options.each));
  stderr.write(`\n${describeSettings(kind)}${notes.map((note) => `- ${note}\n`).join('')}`);
  return exitCodes.done;
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
