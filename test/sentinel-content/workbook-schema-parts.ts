/* The parts of workbook-schema.ts: how columns, tiles, charts and numbers may look. */

export const text = { type: 'string', minLength: 1 };
export const flag = { type: 'boolean' };
export const identifier = { type: 'string', pattern: '^[A-Za-z][A-Za-z0-9_]*$' };
export const guid = { type: 'string', pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' };

export function object(
  required: Readonly<Record<string, unknown>>,
  optional: Readonly<Record<string, unknown>> = {},
): object {
  const properties = { ...required, ...optional };
  return { type: 'object', properties, required: Object.keys(required), additionalProperties: false };
}

export function list(items: unknown, minItems = 1): object {
  return { type: 'array', items, minItems };
}

export const WORKSPACES = 'microsoft.operationalinsights/workspaces';
/** Logs of the workspace that the parameter names; the type of a workspace is what `queryType` 0 asks for. */
export const logs = { queryType: { const: 0 }, resourceType: { const: WORKSPACES } };
export const inWorkspace = { crossComponentResources: { const: ['{Workspace}'] } };

/** 0 automatic, 1 text, 4 bar underneath, 5 hidden, 6 date, 8 heatmap, 12 big number, 18 thresholds. */
const formatterNumber = { enum: [0, 1, 4, 5, 6, 8, 12, 18] };
const palette = { enum: ['blue', 'green', 'none', 'orange', 'red', 'yellow'] };
const color = { enum: ['blue', 'brown', 'gray', 'green', 'greenDark', 'orange', 'purple', 'redBright', 'yellow'] };
const icons = ['Blank', 'cancelled', 'Clock', 'critical', 'failed', 'info', 'stopped', 'success', 'unknown', 'warning'];
const representation = { enum: [...icons, ...color.enum] };

const threshold = object({
  operator: { enum: ['==', '>', '>=', '<', '<=', 'Default'] },
  thresholdValue: { type: ['string', 'null'] },
  representation,
  text: { type: 'string' },
});

/** 1 percent, 2 bytes, 17 count, 24 seconds, 25 minutes. */
export const unit = { enum: [1, 2, 17, 24, 25] };
export const numberFormat = object(
  {
    unit,
    options: object({ style: { const: 'decimal' }, useGrouping: flag }, { maximumFractionDigits: { type: 'integer' } }),
  },
  { emptyValCustomText: text },
);
const formatter = object(
  { columnMatch: text, formatter: formatterNumber },
  {
    formatOptions: object(
      {},
      {
        palette,
        min: { type: 'number' },
        max: { type: 'number' },
        customColumnWidthSetting: { type: 'string', pattern: '^[0-9]+ch$' },
        thresholdsOptions: { enum: ['icons', 'colors'] },
        thresholdsGrid: list(threshold, 2),
      },
    ),
    numberFormat,
    dateFormat: object({ showUtcTime: { const: true }, formatName: { const: 'shortDateTimeNoMsPattern' } }),
  },
);

export const sortBy = list(object({ itemKey: text, sortOrder: { enum: [1, 2] } }));
export const gridSettings = object(
  {
    formatters: list(formatter, 0),
    rowLimit: { type: 'integer', minimum: 1, maximum: 10_000 },
    filter: flag,
    labelSettings: list(object({ columnId: text, label: text })),
  },
  { sortBy },
);
export const tileSettings = object(
  {
    titleContent: formatter,
    leftContent: formatter,
    showBorder: flag,
    sortCriteriaField: text,
    sortOrderField: { enum: [1, 2] },
    size: { enum: ['auto', 'fixed', 'full'] },
  },
  { secondaryContent: formatter },
);
export const chartSettings = object(
  { xAxis: text, yAxis: list(text) },
  {
    group: text,
    createOtherGroup: { type: 'integer', minimum: 1 },
    showLegend: flag,
    seriesLabelSettings: list(object({ seriesName: text, label: text, color })),
    ySettings: object({ unit, min: { type: 'number' }, numberFormatSettings: numberFormat }),
  },
);
