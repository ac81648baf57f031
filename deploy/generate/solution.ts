import type { Content } from './content/content.ts';
import { titleOf } from './content/workbook.ts';
import type { JsonFields } from './json.ts';
import type { TableStream } from './streams.ts';

/** Version of the solution; ReleaseNotes.md begins with it. Packages of the present form begin with 3.0.0. */
export const solutionVersion = '3.0.0';

/**
 * Data/Solution_Apono.json: what Azure-Sentinel's packaging tool puts together.
 * https://github.com/Azure/Azure-Sentinel/tree/master/Tools/Create-Azure-Sentinel-Solution/V3
 */
export function solutionData({ parsers, rules, huntingQueries, workbooks }: Content): JsonFields {
  const paths = (folder: string, files: readonly { readonly file: string }[]) =>
    files.map(({ file }) => `${folder}/${file}`);
  return {
    Name: 'Apono',
    Author: 'apono-sentinel',
    Logo: '<img src="https://raw.githubusercontent.com/Azure/Azure-Sentinel/master/Logos/Azure_Sentinel.svg" width="75px" height="75px">',
    Description:
      "Detections, functions and a workbook for the just-in-time access of [Apono](https://www.apono.io/). The rows come from apono-sentinel, which takes Apono's webhooks and sends them through the Logs Ingestion API.",
    'Analytic Rules': paths('Analytic Rules', rules),
    'Hunting Queries': paths('Hunting Queries', huntingQueries),
    Parsers: paths('Parsers', parsers),
    Workbooks: paths('Workbooks', workbooks),
    WorkbookBladeDescription:
      "This solution installs a workbook on Apono's access requests and on the health of their way to Microsoft Sentinel.",
    AnalyticalRuleBladeDescription: "This solution installs analytics rules on Apono's access requests.",
    HuntingQueryBladeDescription: "This solution installs hunting queries on Apono's access requests and audit log.",
    BasePath: 'C:\\GitHub\\Azure-Sentinel\\Solutions\\Apono',
    Metadata: 'SolutionMetadata.json',
    Version: solutionVersion,
    TemplateSpec: true,
    Is1PConnector: false,
  };
}

/**
 * WorkbooksMetadata.json: what Azure-Sentinel lists of a workbook, for whoever contributes the solution to append to
 * Workbooks/WorkbooksMetadata.json there. Its validator asks for a preview on a black and on a white background, which
 * only a portal with data can show: they are screenshots of these names, in Workbooks/Images/Preview.
 * https://github.com/Azure/Azure-Sentinel/blob/master/.script/utils/schemas/workbooksMetadataSchema.json
 */
export function workbooksMetadata({ workbooks }: Content, streams: readonly TableStream[]): readonly JsonFields[] {
  return workbooks.map(({ file }) => {
    const name = file.replace(/\.json$/, '');
    return {
      workbookKey: name,
      logoFileName: 'Azure_Sentinel.svg',
      description:
        "Shows who asks for access through Apono, who gets it, and whether the events of Apono's webhooks reach this workspace.",
      dataTypesDependencies: streams.map(({ table }) => table.name),
      dataConnectorsDependencies: [],
      previewImagesFileNames: [`${name}Black.png`, `${name}White.png`],
      version: '1.0.0',
      title: titleOf(name),
      templateRelativePath: file,
      subtitle: '',
      provider: 'apono-sentinel',
    };
  });
}
