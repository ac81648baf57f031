import { parameter } from './workbook-schema-parameters.ts';
import {
  chartSettings,
  flag,
  gridSettings,
  guid,
  identifier,
  inWorkspace,
  list,
  logs,
  object,
  sortBy,
  text,
  tileSettings,
} from './workbook-schema-parts.ts';

/*
 * What a workbook file of ours may hold, stricter than Microsoft's own schema (the `$schema` below), which leaves most
 * objects open: only the properties that we use, so that a misspelt one is found. The numbers and words are those that
 * Microsoft's documentation of workbooks and its published templates use
 * (https://github.com/microsoft/Application-Insights-Workbooks, Documentation/ and Workbooks/).
 */

/** Without a time range of the item's own: "Set in query". The queries choose by the time of the event. */
const queryBase = {
  version: { const: 'KqlItem/1.0' },
  query: text,
  /** 0 medium, 1 small, 2 large, 3 full, 4 tiny. */
  size: { enum: [0, 1, 2, 3, 4] },
  title: text,
  noDataMessage: text,
  ...logs,
  ...inWorkspace,
};
/** 3: as a success, for nothing is well; 4: as a warning. */
const queryOptions = { noDataMessageStyle: { enum: [3, 4] } };
const queryContent = {
  oneOf: [
    object(
      { ...queryBase, visualization: { const: 'table' }, showExportToExcel: flag, gridSettings },
      { ...queryOptions, sortBy, exportFieldName: text, exportParameterName: identifier, exportDefaultValue: text },
    ),
    object({ ...queryBase, visualization: { const: 'tiles' }, tileSettings }, queryOptions),
    object(
      { ...queryBase, visualization: { enum: ['barchart', 'linechart', 'piechart'] }, chartSettings },
      queryOptions,
    ),
  ],
};

const placed = {
  customWidth: { type: 'string', pattern: '^([1-9][0-9]?|100)$' },
  styleSettings: object({ maxWidth: { type: 'string', pattern: '^([1-9][0-9]?|100)%$' } }),
  conditionalVisibility: object({
    parameterName: identifier,
    comparison: { enum: ['isEqualTo', 'isNotEqualTo'] },
    value: { type: 'string' },
  }),
};

function item(type: number, content: unknown): object {
  return object({ type: { const: type }, content, name: text }, placed);
}

const items = { $ref: '#/$defs/items' };

export const workbookSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  ...object({
    version: { const: 'Notebook/1.0' },
    items,
    fromTemplateId: { const: 'sentinel-AponoAccess' },
    $schema: {
      const: 'https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json',
    },
  }),
  $defs: {
    items: list({
      oneOf: [
        item(1, object({ json: text }, { style: { enum: ['info', 'warning'] } })),
        item(3, queryContent),
        item(
          9,
          object(
            {
              version: { const: 'KqlParameterItem/1.0' },
              parameters: list(parameter),
              style: { const: 'pills' },
              ...logs,
            },
            inWorkspace,
          ),
        ),
        item(
          11,
          object({
            version: { const: 'LinkItem/1.0' },
            style: { const: 'tabs' },
            links: list(
              object({
                id: guid,
                cellValue: identifier,
                linkTarget: { const: 'parameter' },
                linkLabel: text,
                subTarget: text,
                style: { const: 'link' },
              }),
            ),
          }),
        ),
        item(
          12,
          object({
            version: { const: 'NotebookGroup/1.0' },
            groupType: { const: 'editable' },
            loadType: { const: 'lazy' },
            title: text,
            items,
          }),
        ),
      ],
    }),
  },
};
