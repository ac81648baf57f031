import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { parse } from 'yaml';
import type { JsonFields } from '../json.ts';
import type { AnalyticRule, Content, HuntingQuery, Named, Parser } from './content.ts';
import { analyticRuleForm, huntingQueryForm, parserForm } from './forms.ts';

/** A file of deploy/sentinel/ that is not what it must be. The message names the file, each place and what is wrong. */
export class ContentError extends Error {
  readonly code = 'content_malformed';

  constructor(file: string, problems: readonly string[]) {
    super(`${file} is malformed, mend it:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ContentError';
  }
}

/** Reads the folder `sentinel` of deploy/. Throws ContentError for the first malformed file. */
export function readContent(folder: string): Content {
  const ajv = new Ajv({ strict: true, allowUnionTypes: true, allErrors: true });
  const yaml = <T>(name: string, form: object): readonly Named<T>[] => {
    const isOfForm: ValidateFunction<T> = ajv.compile<T>(form);
    return filesOf(folder, name, '.yaml').map((file) => readForm(path.join(folder, name), file, isOfForm));
  };
  const content: Content = {
    rules: yaml<AnalyticRule>('Analytic Rules', analyticRuleForm),
    huntingQueries: yaml<HuntingQuery>('Hunting Queries', huntingQueryForm),
    parsers: yaml<Parser>('Parsers', parserForm),
    workbooks: filesOf(folder, 'Workbooks', '.json').map((file) => readWorkbook(path.join(folder, 'Workbooks'), file)),
  };
  refuseTwins([...content.rules, ...content.huntingQueries, ...content.parsers]);
  return content;
}

function filesOf(folder: string, name: string, extension: string): readonly string[] {
  const directory = path.join(folder, name);
  if (!existsSync(directory)) return [];
  const files = readdirSync(directory).sort();
  const strange = files.find((file) => path.extname(file) !== extension);
  if (strange !== undefined) throw new ContentError(`${name}/${strange}`, [`is no ${extension} file`]);
  return files;
}

function readForm<T>(directory: string, file: string, isOfForm: ValidateFunction<T>): Named<T> {
  const name = `${path.basename(directory)}/${file}`;
  const value = attempt(name, () => parse(readFileSync(path.join(directory, file), 'utf8')) as unknown);
  if (isOfForm(value)) return { file, value };
  const errors = isOfForm.errors ?? [];
  throw new ContentError(
    name,
    errors.map(({ instancePath, message, params }) => `${instancePath || '/'} ${message} ${JSON.stringify(params)}`),
  );
}

function readWorkbook(directory: string, file: string): Named<JsonFields> {
  const name = `Workbooks/${file}`;
  const value = attempt(name, () => JSON.parse(readFileSync(path.join(directory, file), 'utf8')) as JsonFields);
  if (value['version'] === 'Notebook/1.0' && Array.isArray(value['items'])) return { file, value };
  throw new ContentError(name, ['has no "version": "Notebook/1.0" and "items", so it is no workbook']);
}

function attempt<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ContentError(name, [error instanceof Error ? error.message : String(error)]);
  }
}

/** Two files with one id would be one resource, the second instead of the first. */
function refuseTwins(files: readonly Named<{ readonly id: string }>[]): void {
  const seen = new Map<string, string>();
  for (const { file, value } of files) {
    const other = seen.get(value.id);
    if (other !== undefined) throw new ContentError(file, [`has the id of ${other}`]);
    seen.set(value.id, file);
  }
}
