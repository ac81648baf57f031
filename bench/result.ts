import { median } from './statistics.ts';

/** One line of the table, and of the JSON. */
export interface Figure {
  readonly scenario: string;
  readonly name: string;
  readonly value: number | null;
  readonly unit: string;
  /** How many times the thing that it is compared with, in the same run: ratios differ less between machines. */
  readonly ratio?: number;
  readonly against?: string;
  /** Why there is no value, or how it was measured where the name does not say it. */
  readonly note?: string;
}

/** What each contestant did, turn by turn. */
export class Turns {
  readonly #values = new Map<string, number[]>();

  /** Null: it could not be measured here. */
  add(name: string, value: number | null): void {
    if (value !== null) this.#values.set(name, [...(this.#values.get(name) ?? []), value]);
  }

  /** The medians. A ratio is the median of the turns' ratios, so that a slow minute of the machine counts for both. */
  figures(
    scenario: string,
    what: { readonly prefix?: string; readonly unit: string; readonly base?: string },
  ): Figure[] {
    const { prefix = '', unit, base = '' } = what;
    const bases = this.#values.get(base) ?? [];
    return [...this.#values].map(([name, values]) => {
      const figure = { scenario, name: `${prefix}${name}`, value: median(values), unit };
      const ratios = values.flatMap((value, turn) => value / (bases[turn] ?? Number.NaN));
      return name === base || !ratios.every(Number.isFinite)
        ? figure
        : { ...figure, ratio: median(ratios), against: base };
    });
  }
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
