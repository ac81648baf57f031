import type { Content } from './content/content.ts';
import { contentTemplate } from './content/content-template.ts';
import { mainTemplate } from './infrastructure/main-template.ts';
import { formatJson } from './json.ts';
import { portalForm } from './portal/form.ts';
import { solutionData } from './solution.ts';
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
  return new Map([
    ['azuredeploy.json', formatJson(renderTemplate(main))],
    ['sentinel.json', formatJson(renderTemplate(nested))],
    ['createUiDefinition.json', formatJson(portalForm(main.parameters))],
    ['sentinel/Data/Solution_Apono.json', formatJson(solutionData(content))],
  ]);
}
