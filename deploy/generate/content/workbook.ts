import { expression, literal, parameterValue, quoted } from '../expression.ts';
import type { JsonFields } from '../json.ts';
import { workspaceId } from '../names.ts';
import type { Named } from './content.ts';

/** A workbook of Sentinel's. Its name must be a GUID; this one is the same at each deployment to the workspace. */
export function workbookResource({ file, value }: Named<JsonFields>): JsonFields {
  const name = file.replace(/\.json$/, '');
  return {
    type: 'Microsoft.Insights/workbooks',
    apiVersion: '2023-06-01',
    name: expression(`guid(${workspaceId}, ${quoted(name)})`),
    location: parameterValue('location'),
    kind: 'shared',
    condition: parameterValue('deployWorkbook'),
    properties: {
      displayName: titleOf(name),
      category: 'sentinel',
      version: 'Notebook/1.0',
      sourceId: expression(workspaceId),
      serializedData: literal(JSON.stringify(value)),
    },
  };
}

/** `AponoAccess` → `Apono access` */
export function titleOf(name: string): string {
  const [first = '', ...words] = name.split(/(?=[A-Z])/);
  return [first, ...words.map((word) => word.toLowerCase())].join(' ');
}
