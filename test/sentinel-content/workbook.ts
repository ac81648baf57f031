import { readFileSync } from 'node:fs';

/*
 * deploy/sentinel/Workbooks/AponoAccess.json as the checks read it: only what they look at is described here. What a
 * workbook may hold is in workbook-schema.ts.
 */

export interface WorkbookParameter {
  readonly id: string;
  readonly name: string;
  /** 1 text, 2 drop down, 4 time range, 5 resource, 10 options group. */
  readonly type: number;
  readonly query?: string;
  readonly multiSelect?: boolean;
  readonly quote?: string;
  readonly delimiter?: string;
  readonly typeSettings?: { readonly selectAllValue?: string };
}

export interface Formatter {
  readonly columnMatch: string;
  readonly formatter: number;
  readonly formatOptions?: {
    readonly thresholdsGrid?: readonly { readonly operator: string; readonly text: string }[];
  };
}

export interface QueryContent {
  readonly title: string;
  readonly query: string;
  readonly visualization: string;
  readonly noDataMessage: string;
  readonly exportFieldName?: string;
  readonly exportParameterName?: string;
  readonly sortBy?: readonly { readonly itemKey: string }[];
  readonly chartSettings?: {
    readonly xAxis: string;
    readonly yAxis: readonly string[];
    readonly group?: string;
    readonly seriesLabelSettings?: readonly { readonly seriesName: string }[];
  };
  readonly gridSettings?: {
    readonly formatters?: readonly Formatter[];
    readonly labelSettings?: readonly { readonly columnId: string; readonly label: string }[];
    readonly sortBy?: readonly { readonly itemKey: string }[];
  };
  readonly tileSettings?: {
    readonly titleContent: Formatter;
    readonly leftContent: Formatter;
    readonly secondaryContent?: Formatter;
    readonly sortCriteriaField?: string;
  };
}

interface ItemOf<Type extends number, Content> {
  readonly type: Type;
  readonly name: string;
  readonly content: Content;
  readonly conditionalVisibility?: { readonly parameterName: string; readonly value: string };
}

export type WorkbookItem =
  | ItemOf<1, { readonly json: string }>
  | ItemOf<3, QueryContent>
  | ItemOf<9, { readonly parameters: readonly WorkbookParameter[] }>
  | ItemOf<11, { readonly links: readonly { readonly cellValue: string; readonly subTarget: string }[] }>
  | ItemOf<12, { readonly title: string; readonly items: readonly WorkbookItem[] }>;

export interface Workbook {
  readonly items: readonly WorkbookItem[];
}

const FILE_URL = new URL('../../deploy/sentinel/Workbooks/AponoAccess.json', import.meta.url);

export function readWorkbook(): Workbook {
  return JSON.parse(readFileSync(FILE_URL, 'utf8')) as Workbook;
}

/** All items in the order of the page, those inside groups after their group. */
export function itemsOf(parent: { readonly items: readonly WorkbookItem[] }): readonly WorkbookItem[] {
  return parent.items.flatMap((item) => (item.type === 12 ? [item, ...itemsOf(item.content)] : [item]));
}

export function parametersOf(workbook: Workbook): readonly WorkbookParameter[] {
  return itemsOf(workbook).flatMap((item) => (item.type === 9 ? item.content.parameters : []));
}

export interface NamedQuery {
  readonly name: string;
  readonly query: string;
  /** Null for the query of a parameter. */
  readonly content: QueryContent | null;
}

/** Every KQL query of the workbook, those of drop downs included. */
export function queriesOf(workbook: Workbook): readonly NamedQuery[] {
  return itemsOf(workbook).flatMap((item): readonly NamedQuery[] => {
    if (item.type === 3) return [{ name: item.name, query: item.content.query, content: item.content }];
    if (item.type !== 9) return [];
    return item.content.parameters.flatMap(({ name, query }) =>
      query === undefined ? [] : [{ name: `parameter ${name}`, query, content: null }],
    );
  });
}

/** `{Name}` or `{Name:format}`, as it stands in a query, a title or a text. */
export interface Reference {
  readonly text: string;
  readonly name: string;
  readonly format: string | null;
}

export function referencesIn(text: string): readonly Reference[] {
  return [...text.matchAll(/\{([A-Za-z]\w*)(?::([^{}\s]+))?\}/g)].map(([whole, name = '', format]) => ({
    text: whole,
    name,
    format: format ?? null,
  }));
}

/** The workbook with one text replaced, everywhere it stands. */
export function changed(workbook: Workbook, from: string, to: string): Workbook {
  const before = JSON.stringify(workbook);
  const after = before.replaceAll(from, to);
  if (after === before) throw new Error(`the workbook has no ${from}`);
  return JSON.parse(after) as Workbook;
}
