import type { Content } from './content/content.ts';
import { contentTemplate } from './content/content-template.ts';
import { mainTemplate } from './infrastructure/main-template.ts';
import { formatJson, type Json } from './json.ts';
import { kqlValidation } from './kql-validation.ts';
import { portalForm } from './portal/form.ts';
import { solutionData, workbooksMetadata } from './solution.ts';
import type { TableStream } from './streams.ts';
import { renderTemplate } from './template.ts';

export interface Sources {
  readonly streams: readonly TableStream[];
  readonly content: Content;
}

/** A generated file: its path inside deploy/ and its text. */
export type GeneratedFiles = ReadonlyMap<string, string>;

/** Everything in deploy/ that is made from the column lists and the hand-written content. Pure. */
export function generate({ streams, content }: Sources): GeneratedFiles {
  const nested = contentTemplate(content);
  const main = mainTemplate(streams, nested);
  const files: readonly (readonly [string, Json])[] = [
    ['azuredeploy.json', renderTemplate(main)],
    ['sentinel.json', renderTemplate(nested)],
    ['createUiDefinition.json', portalForm(main.parameters)],
    ['sentinel/Data/Solution_Apono.json', solutionData(content)],
    ['sentinel/WorkbooksMetadata.json', workbooksMetadata(content, streams)],
    ...[...kqlValidation(streams, content.parsers)].map(([name, value]) => [`sentinel/${name}`, value] as const),
  ];
  return new Map(files.map(([name, value]) => [name, formatJson(value)]));
}
