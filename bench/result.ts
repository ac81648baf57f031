/** One line of the table, and of the JSON. */
export interface Figure {
  readonly scenario: string;
  readonly name: string;
  readonly value: number | null;
  readonly unit: string;
  /** What it is compared with in the same run, and how many times that it is; machines differ, ratios do not so much. */
  readonly ratio?: number;
  readonly against?: string;
  /** Why there is no value, or how it was measured where the name does not say it. */
  readonly note?: string;
}

export function renderFigures(figures: readonly Figure[]): string {
  const lines: string[] = [];
  let scenario = '';
  const width = Math.max(...figures.map(({ name }) => name.length));
  for (const figure of figures) {
    if (figure.scenario !== scenario) lines.push('', figure.scenario);
    scenario = figure.scenario;
    const value = figure.value === null ? 'not measured' : `${format(figure.value)} ${figure.unit}`;
    const ratio = figure.ratio === undefined ? '' : `  ${format(figure.ratio)} × ${figure.against}`;
    lines.push(
      `  ${figure.name.padEnd(width)}  ${value.padStart(20)}${ratio}${figure.note ? `  (${figure.note})` : ''}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function format(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}
