import type { Formatter, QueryContent } from './workbook.ts';

/** A place in an item's settings that names a column of its query. */
export interface ColumnReference {
  readonly place: string;
  readonly column: string;
}

/** Everything in an item that refers to a column. A name that the query does not return is ignored without a word. */
export function columnReferences(content: QueryContent): readonly ColumnReference[] {
  return [...chartReferences(content), ...gridReferences(content), ...tileReferences(content)].concat(
    content.exportFieldName === undefined ? [] : [{ place: 'exportFieldName', column: content.exportFieldName }],
    (content.sortBy ?? []).map(({ itemKey }) => ({ place: 'sortBy', column: itemKey })),
  );
}

function chartReferences({ chartSettings }: QueryContent): readonly ColumnReference[] {
  if (chartSettings === undefined) return [];
  const { xAxis, yAxis, group, seriesLabelSettings = [] } = chartSettings;
  return [
    { place: 'chartSettings.xAxis', column: xAxis },
    ...yAxis.map((column) => ({ place: 'chartSettings.yAxis', column })),
    ...(group === undefined ? [] : [{ place: 'chartSettings.group', column: group }]),
    // With a group the series are its values; without one they are the columns of the y axis.
    ...(group === undefined
      ? seriesLabelSettings.map(({ seriesName }) => ({
          place: 'chartSettings.seriesLabelSettings',
          column: seriesName,
        }))
      : []),
  ];
}

function gridReferences({ gridSettings }: QueryContent): readonly ColumnReference[] {
  if (gridSettings === undefined) return [];
  const { formatters = [], labelSettings = [], sortBy = [] } = gridSettings;
  return [
    ...formatters.flatMap((formatter) => formatterReferences('gridSettings.formatters', formatter)),
    ...labelSettings.map(({ columnId }) => ({ place: 'gridSettings.labelSettings', column: columnId })),
    ...sortBy.map(({ itemKey }) => ({ place: 'gridSettings.sortBy', column: itemKey })),
  ];
}

function tileReferences({ tileSettings }: QueryContent): readonly ColumnReference[] {
  if (tileSettings === undefined) return [];
  const { titleContent, leftContent, secondaryContent, sortCriteriaField } = tileSettings;
  const parts = [titleContent, leftContent, ...(secondaryContent === undefined ? [] : [secondaryContent])];
  return [
    ...parts.flatMap((formatter) => formatterReferences('tileSettings', formatter)),
    ...(sortCriteriaField === undefined
      ? []
      : [{ place: 'tileSettings.sortCriteriaField', column: sortCriteriaField }]),
  ];
}

/** The column that is formatted, and those that its texts name as `["column"]`. */
function formatterReferences(place: string, formatter: Formatter): readonly ColumnReference[] {
  const texts = (formatter.formatOptions?.thresholdsGrid ?? []).map(({ text }) => text);
  const named = texts.flatMap((text) => [...text.matchAll(/\["([^"]+)"\]/g)].map(([, column = '']) => column));
  return [formatter.columnMatch, ...named].map((column) => ({ place, column }));
}
