import { referencesIn, type WorkbookParameter } from './workbook.ts';

/** What a user has chosen, by name of the parameter. Several values: of a drop down that takes several. */
export type Choice = string | readonly string[] | TimeChoice;
export type Choices = Readonly<Record<string, Choice>>;

export interface TimeChoice {
  readonly start: string;
  readonly end: string;
  /** A KQL timespan, as workbooks choose it for the range. */
  readonly grain: string;
  readonly label: string;
}

/**
 * The text with the parameters put in, as workbooks do it: as text, not as values. What `{Name:format}` becomes is
 * documented at https://learn.microsoft.com/azure/azure-monitor/visualize/workbooks-parameters (escapejson) and
 * .../workbooks-time (start, end, grain, label); how several values are joined at .../workbooks-dropdowns.
 */
export function withChoices(text: string, choices: Choices, parameters: readonly WorkbookParameter[]): string {
  return referencesIn(text).reduce((result, { text: reference, name, format }) => {
    const choice = choices[name];
    if (choice === undefined) throw new Error(`${reference}: nothing was chosen for ${name}`);
    const parameter = parameters.find((candidate) => candidate.name === name);
    return result.replaceAll(reference, () => formatted(choice, format, parameter));
  }, text);
}

function formatted(choice: Choice, format: string | null, parameter: WorkbookParameter | undefined): string {
  if (typeof choice === 'string') return formattedText(choice, format);
  if ('start' in choice) return formattedTime(choice, format);
  if (format !== null) throw new Error(`several values have no format ${format}`);
  const { quote = "'", delimiter = ',' } = parameter ?? {};
  return choice.map((value) => `${quote}${value}${quote}`).join(delimiter);
}

function formattedText(text: string, format: string | null): string {
  if (format === null) return text;
  // JSON.stringify without its quotes: the documented example escapes quotes, tabs and line breaks so.
  if (format === 'escapejson') return JSON.stringify(text).slice(1, -1);
  throw new Error(`a text has no format ${format}`);
}

function formattedTime(time: TimeChoice, format: string | null): string {
  if (format === 'start') return `datetime(${time.start})`;
  if (format === 'end') return `datetime(${time.end})`;
  if (format === 'grain') return time.grain;
  if (format === null || format === 'label') return time.label;
  throw new Error(`a time range has no format ${format} here`);
}
